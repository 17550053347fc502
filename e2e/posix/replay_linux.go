package main

import (
	"flag"
	"os"

	"causeway/e2e/posix/replay"
)

// runReplay does random operations in an empty directory and prints their answers and the tree that they left.
func runReplay(args []string) int {
	flags := flag.NewFlagSet("replay", flag.ExitOnError)
	dir := flags.String("dir", ".", "an empty directory")
	seed := flags.Uint64("seed", 1, "seed of the operations")
	ops := flags.Int("ops", 2000, "number of operations")
	flags.Parse(args)
	if err := replay.Run(*dir, *seed, *ops, os.Stdout); err != nil {
		return failed(err)
	}
	return failed(replay.Tree(*dir, os.Stdout))
}

// runTree prints a tree as replay does.
func runTree(args []string) int {
	flags := flag.NewFlagSet("tree", flag.ExitOnError)
	dir := flags.String("dir", ".", "directory")
	flags.Parse(args)
	return failed(replay.Tree(*dir, os.Stdout))
}
