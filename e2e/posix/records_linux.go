package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"causeway/e2e/posix/records"
)

// runRecords writes records until SIGTERM, or verifies what an earlier run promised on its output.
func runRecords(args []string) int {
	flags := flag.NewFlagSet("records", flag.ExitOnError)
	config := records.Config{}
	flags.StringVar(&config.Dir, "dir", ".", "directory for the records")
	flags.Uint64Var(&config.Seed, "seed", 1, "seed of the content")
	flags.IntVar(&config.Size, "size", 5000, "bytes per record")
	flags.IntVar(&config.Batch, "batch", 20, "records per fsync")
	verify := flags.Bool("verify", false, "read promises from standard input and verify them")
	pid := flags.String("pid", "", "write the process id to this file")
	flags.Parse(args)
	if *verify {
		promises := records.ReadPromises(os.Stdin)
		fmt.Printf("%d records, %d files\n", promises.Records, promises.Files)
		return failed(records.Verify(config, promises))
	}
	if *pid != "" {
		if err := os.WriteFile(*pid, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return failed(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return failed(records.Write(ctx, config, os.Stdout))
}
