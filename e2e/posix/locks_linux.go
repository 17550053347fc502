package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"

	"causeway/e2e/posix/locks"
)

// runLocks serves lock actors, or plays all scenarios with actors of this machine.
func runLocks(args []string) int {
	flags := flag.NewFlagSet("locks", flag.ExitOnError)
	dir := flags.String("dir", ".", "directory for the files that are locked")
	listen := flags.String("listen", "", "serve actors for scenarios that are played elsewhere, at this address")
	pattern := flags.String("run", "", "play only scenarios whose name matches this regular expression")
	flags.Parse(args)
	address := *listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return failed(err)
	}
	serve := func() error { return locks.Serve(listener, os.Args[0], "actor") }
	if *listen != "" {
		fmt.Println("listening")
		return failed(serve())
	}
	go serve()
	expression, err := regexp.Compile(*pattern)
	if err != nil {
		return failed(err)
	}
	return playLocally(listener.Addr().String(), *dir, expression)
}

func playLocally(address, dir string, pattern *regexp.Regexp) int {
	status := 0
	for i, scenario := range locks.Scenarios() {
		if !pattern.MatchString(scenario.Name) {
			continue
		}
		failures := locks.Play(scenario, dir, i, func(int) (*locks.Remote, error) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return nil, err
			}
			return locks.NewRemote("", conn), nil
		})
		for _, failure := range failures {
			fmt.Printf("FAIL  %s: %s\n", scenario.Name, failure)
			status = 1
		}
	}
	return status
}

// runActor is a process of a scenario; its connection is descriptor 3.
func runActor([]string) int {
	locks.Act(os.NewFile(3, "connection"))
	return 0
}
