package main

import (
	"bufio"
	"os"
	"os/signal"
	"syscall"
)

// atTerminal reports whether somebody watches and can answer.
func atTerminal() bool {
	for _, f := range []*os.File{os.Stdin, os.Stdout} {
		if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			return false
		}
		if f == os.Stdin {
			if null, err := os.Stat(os.DevNull); err == nil {
				if info, err := f.Stat(); err == nil && os.SameFile(info, null) {
					return false
				}
			}
		}
	}
	return true
}

// awaitEnter waits for a line, a signal, or an end.
func awaitEnter(ended <-chan struct{}) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	line := make(chan struct{})
	go func() { // ends with the process, if nobody answers
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		close(line)
	}()
	select {
	case <-signals:
	case <-line:
	case <-ended:
	}
}
