// Command posix holds the programs that the end-to-end tests run in a mount. It is static, and needs nothing but the mount.
package main

import (
	"fmt"
	"os"
)

// programs are the subcommands by name; each returns its exit status.
var programs = map[string]func(args []string) int{
	"check":   runCheck,
	"fsx":     runFsx,
	"dirs":    runDirs,
	"hold":    hold,
	"records": runRecords,
	"stress":  runStress,
	"replay":  runReplay,
	"rounds":  runRounds,
	"locks":   runLocks,
	"actor":   runActor,
	"tree":    runTree,
	"pulse":   runPulse,
}

func main() {
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: posix PROGRAM [flags]; programs:")
		for name := range programs {
			fmt.Fprintln(os.Stderr, "  "+name)
		}
		os.Exit(2)
	}
	os.Exit(programs[os.Args[1]](os.Args[2:]))
}
