package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"causeway/e2e/posix/rounds"
)

// runRounds changes names until SIGTERM.
func runRounds(args []string) int {
	flags := flag.NewFlagSet("rounds", flag.ExitOnError)
	dir := flags.String("dir", ".", "an empty directory")
	pid := flags.String("pid", "", "write the process id to this file")
	flags.Parse(args)
	if *pid != "" {
		if err := os.WriteFile(*pid, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return failed(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := rounds.Run(ctx, *dir, os.Stdout)
	if err == nil {
		fmt.Println("end")
	}
	return failed(err)
}
