package main

import (
	"flag"
	"fmt"
	"os"

	"causeway/e2e/posix/fsx"
)

// runFsx exercises files against a model, one after the other with rising seeds.
func runFsx(args []string) int {
	flags := flag.NewFlagSet("fsx", flag.ExitOnError)
	config := fsx.Config{Log: os.Stdout}
	flags.StringVar(&config.Dir, "dir", ".", "directory for the file")
	flags.Uint64Var(&config.Seed, "seed", 1, "seed of the first run")
	flags.IntVar(&config.Ops, "ops", 1000, "operations per run")
	flags.IntVar(&config.MaxSize, "size", 256<<10, "greatest size of the file in bytes")
	flags.BoolVar(&config.NoMmap, "no-mmap", false, "leave out mappings")
	runs := flags.Int("runs", 1, "runs, each with its own file and seed")
	flags.Parse(args)
	for range *runs {
		if err := fsx.Run(config); err != nil {
			fmt.Println(err)
			return 1
		}
		config.Seed++
	}
	fmt.Printf("%d runs of %d operations\n", *runs, config.Ops)
	return 0
}
