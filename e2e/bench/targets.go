package main

import "strings"

// targets are the greatest CPU times per unit that causeway may need, as parts of Ganesha's. A durable server may need more
// where it syncs directories, which Ganesha does not.
var targets = []struct {
	workload       string // the full name or its beginning
	target, synced float64
}{
	{"null-c1q32", 0.1, 0.1},
	{"read4k-c1q32", 0.2, 0.2},
	{"getattr-c1q32", 0.2, 0.2},
	{"read4k-", 0.5, 0.5},
	{"getattr-", 0.5, 0.5},
	{"lookup-", 0.4, 0.4},
	{"write4k-", 0.6, 0.6},
	{"read1m-c8", 0.65, 0.65},
	{"write1m-c8", 0.75, 0.75},
	{"overwrite1m-c8", 0.75, 0.75},
	{"create4k", 0.8, 1.2},
	{"unlink-", 0.8, 1.2},
	{"readdirplus-", 0.3, 0.3},
}

// target returns what a server is held to, 0 for nothing.
func target(workload string, durable bool) float64 {
	for _, t := range targets {
		if strings.HasPrefix(workload, t.workload) {
			if durable {
				return t.synced
			}
			return t.target
		}
	}
	return 0
}
