package peer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is what a server gets to stop by itself.
const stopTime = 10 * time.Second

// Process is a running server and its descendants, in a process group of its own.
type Process struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	output *os.File
}

// start runs a command inside a namespace, with its output in a file.
func start(ns *Namespace, log string, cmd *exec.Cmd) (*Process, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = output, output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := ns.Do(cmd.Start); err != nil {
		output.Close()
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, ended: make(chan struct{}), output: output}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Stop ends the group: politely, then not. It returns when the process is gone.
func (p *Process) Stop() {
	syscall.Kill(-p.PID(), syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
	}
	syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.ended
	p.output.Close()
}

// PID is the process id of the server itself.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running says whether the process still lives.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// log returns the end of what the process has written.
func (p *Process) log() string {
	text, _ := os.ReadFile(p.output.Name())
	return string(text[max(0, len(text)-2000):])
}

// CPU returns the user and system time that the process and its descendants have used: of those that live from their
// process clocks, which count nanoseconds, of those that ended from /proc/PID/stat.
func (p *Process) CPU() (time.Duration, error) { return cpuOf(p.PID()) }

func cpuOf(pid int) (time.Duration, error) {
	var now unix.Timespec
	// The clock id of another process (clock_getcpuclockid(3)): its complement, shifted, with the kind CPUCLOCK_SCHED.
	if err := unix.ClockGettime(int32(^pid<<3|2), &now); err != nil {
		return 0, fmt.Errorf("CPU clock of %d: %w", pid, err)
	}
	sum := time.Duration(now.Nano())
	ended, err := endedChildren(pid)
	if err != nil {
		return 0, err
	}
	sum += ended
	for _, child := range children(pid) {
		if d, err := cpuOf(child); err == nil {
			sum += d
		}
	}
	return sum, nil
}

// endedChildren returns cutime+cstime (proc(5)).
func endedChildren(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	user, _ := strconv.ParseInt(fields[13], 10, 64)
	system, _ := strconv.ParseInt(fields[14], 10, 64)
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(user+system) * tick, nil
}

func children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// Memory is resident memory in bytes, now and at its peak since ResetPeak.
type Memory struct{ Resident, Peak int64 }

// Memory reads VmRSS and VmHWM of the server's process (not of its descendants).
func (p *Process) Memory() (m Memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			m.Resident = kib << 10
		case "VmHWM:":
			m.Peak = kib << 10
		}
	}
	return m, err
}

// ResetPeak makes the present resident memory the peak.
func (p *Process) ResetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0)
}

// Descriptors counts the open files of the server's process.
func (p *Process) Descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	return len(entries), err
}
