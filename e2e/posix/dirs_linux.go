package main

import (
	"context"
	"flag"

	"causeway/e2e/posix/dirs"
)

// runDirs lists a large directory while it changes.
func runDirs(args []string) int {
	flags := flag.NewFlagSet("dirs", flag.ExitOnError)
	dir := flags.String("dir", ".", "directory")
	count := flags.Int("count", 100000, "names that stay")
	rounds := flags.Int("rounds", 5, "how often the directory is listed")
	fill := flags.Bool("fill", false, "make the names that stay and end, as can be done on the server's side")
	flags.Parse(args)
	if *fill {
		return failed(dirs.Fill(*dir, *count))
	}
	return failed(dirs.Watch(context.Background(), *dir, *count, *rounds))
}
