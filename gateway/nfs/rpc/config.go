package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"causeway/internal/setting"
)

// Transport says how stream connections are read.
type Transport uint8

// The transports.
const (
	Auto    Transport = iota // Epoll for TCP on Linux, Netpoll elsewhere
	Netpoll                  // a goroutine per connection on the runtime's poller
	Epoll                    // event loops of our own: cheaper per call and per idle connection
)

// Observer is told of every call that a program answered. It is called on the goroutines that read sockets: it must be quick,
// must not block, and must be safe for concurrent calls.
type Observer interface {
	// Observe: d is the time in the handler, in and out are the record's and the reply's bytes without record marks.
	Observe(prog, vers, proc uint32, verdict Verdict, d time.Duration, in, out int)
}

// Config says how a server runs. The zero value of a field means its default.
type Config struct {
	Logger    *slog.Logger
	Observer  Observer
	Transport Transport
	Loops     int // event loops of the Epoll transport; default half of GOMAXPROCS: fewer loops find more work per wake-up

	MaxRecord int // bytes of a call; default 1 MiB + 64 KiB

	// Calls that run in goroutines of their own. Where a bound is reached, the connection is not read until one ends.
	MaxCalls          int // in total; default 2048
	MaxCallsPerClient int // per client address; default 512
	MaxCallsPerConn   int // per connection; default 128

	MaxConns          int // in total; default 20000
	MaxConnsPerClient int // per client address; default five sixths of MaxConns: none can shut out all others

	MaxBytes  int64 // of large buffers (calls and replies of more than 64 KiB), half of it per client address, and half of all buffers; default 256 MiB
	MaxQueued int   // bytes of replies that wait for one client before it is not read any more; default 4 MiB

	IdleTimeout   time.Duration // of a connection without a call; default none
	RecordTimeout time.Duration // for a call to arrive whole; default 60 s
	WriteTimeout  time.Duration // for a client to take some of its replies; default 60 s
}

const (
	minRecord = 1 << 10
	maxRecord = 64 << 20
)

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Transport > Epoll {
		return fmt.Errorf("rpc: Transport: unknown (%d)", c.Transport)
	}
	if c.MaxConns == 0 {
		c.MaxConns = 20000
	}
	for _, f := range []struct {
		name    string
		field   *int
		def     int
		low, hi int
	}{
		{"Loops", &c.Loops, runtime.GOMAXPROCS(0) / 2, 1, 1024},
		{"MaxRecord", &c.MaxRecord, 1<<20 + 64<<10, minRecord, maxRecord},
		{"MaxCalls", &c.MaxCalls, 2048, 1, 1 << 20},
		{"MaxCallsPerClient", &c.MaxCallsPerClient, 512, 1, 1 << 20},
		{"MaxCallsPerConn", &c.MaxCallsPerConn, 128, 1, 1 << 20},
		{"MaxConns", &c.MaxConns, 20000, 1, 1 << 24},
		{"MaxConnsPerClient", &c.MaxConnsPerClient, c.MaxConns - c.MaxConns/6, 1, 1 << 24},
		{"MaxQueued", &c.MaxQueued, 4 << 20, 4 << 10, 1 << 30},
	} {
		if *f.field == 0 {
			*f.field = max(f.def, f.low)
		}
		if *f.field < f.low || *f.field > f.hi {
			return fmt.Errorf("rpc: %s: %d is not in %d..%d", f.name, *f.field, f.low, f.hi)
		}
	}
	return c.validateRest()
}

func (c *Config) validateRest() error {
	if c.MaxBytes == 0 {
		c.MaxBytes = max(256<<20, 8*int64(c.MaxRecord))
	}
	if c.MaxBytes < 4*int64(c.MaxRecord) {
		return fmt.Errorf("rpc: MaxBytes: %d is less than four records", c.MaxBytes)
	}
	return errors.Join(
		setting.Positive("rpc: IdleTimeout", &c.IdleTimeout, 0),
		setting.Positive("rpc: RecordTimeout", &c.RecordTimeout, time.Minute),
		setting.Positive("rpc: WriteTimeout", &c.WriteTimeout, time.Minute),
	)
}
