package client

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// usualUmask is taken where the process's own is not known.
const usualUmask fs.FileMode = 0o022

// processUmask is the process's. Linux tells it; elsewhere it can only be asked for by setting another one, which other threads would notice.
func processUmask() fs.FileMode {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return usualUmask
	}
	return umaskIn(string(text))
}

// umaskIn reads proc_pid_status(5).
func umaskIn(status string) fs.FileMode {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "Umask:"); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(value), 8, 9); err == nil {
				return fs.FileMode(n)
			}
		}
	}
	return usualUmask
}
