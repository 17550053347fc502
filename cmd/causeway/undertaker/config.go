package undertaker

import (
	"errors"
	"log/slog"
)

// Config says how the second process is started.
type Config struct {
	Program   string   // whose main calls Run
	Arguments []string // with these
	Log       *slog.Logger
}

// Validate names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Program == "":
		return errors.New("undertaker: no Program")
	case c.Log == nil:
		return errors.New("undertaker: no Log")
	}
	return nil
}

// processName is what the second process is called in lists of processes.
const processName = "undertaker"
