//go:build !linux

package address

import (
	"errors"
	"net/netip"
	"time"
)

// newMachine: addresses are only listened on.
func newMachine(func(netip.Addr)) (machine, error) { return nil, nil }

var started = time.Now()

func sinceBoot() time.Duration { return time.Since(started) }

var errLinuxOnly = errors.New("only on Linux")
