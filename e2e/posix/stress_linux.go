package main

import (
	"flag"
	"fmt"
	"os"

	"causeway/e2e/posix/stress"
)

// runStress lets many processes work at once; with -worker it is one of them.
func runStress(args []string) int {
	flags := flag.NewFlagSet("stress", flag.ExitOnError)
	config := stress.Config{Log: os.Stdout}
	flags.StringVar(&config.Dir, "dir", ".", "directory for the tree")
	flags.Uint64Var(&config.Seed, "seed", 1, "seed of the operations")
	flags.IntVar(&config.Processes, "processes", 8, "number of processes")
	flags.IntVar(&config.Ops, "ops", 500, "operations per process")
	flags.BoolVar(&config.Share, "share", false, "the directory is on a share of SMB")
	worker := flags.Int("worker", -1, "be this worker")
	flags.Parse(args)
	var err error
	if *worker >= 0 {
		err = stress.Work(config, *worker)
	} else {
		err = stress.Run(config, os.Args[0], func(i int) []string {
			return append([]string{"stress", "-worker", fmt.Sprint(i)}, args...)
		})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}
