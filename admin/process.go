package admin

import (
	"os"
	"runtime"
)

func (s *Server) process() Process {
	p := Process{
		Version: s.cfg.Version, PID: os.Getpid(), Started: s.started, Uptime: s.cfg.Now().Sub(s.started).Seconds(),
		Ready: s.State() == Ready, State: s.State().String(), Goroutines: runtime.NumGoroutine(),
	}
	p.usage()
	return p
}
