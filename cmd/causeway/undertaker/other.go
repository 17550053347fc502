//go:build !linux

package undertaker

import (
	"errors"
	"log/slog"
)

var errLinuxOnly = errors.New("only on Linux: others notice the death of this process when its lease ends")

// Undertaker is not available on this system.
type Undertaker struct{}

// Start fails.
func Start(Config) (*Undertaker, error) { return nil, errLinuxOnly }

// Tell does nothing.
func (*Undertaker) Tell(func(*Will)) {}

// Dismiss does nothing.
func (*Undertaker) Dismiss(bool) {}

// Run fails.
func Run(*slog.Logger) error { return errLinuxOnly }
