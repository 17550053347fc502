// Command guestinit is the first process of a guest: it mounts what a Linux system needs over the host's read-only root,
// configures the network, and becomes the agent that runs a test's commands (package wire). It decides nothing by itself:
// what is mounted from a server, and what runs there, comes from the test.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"causeway/e2e/harness/wire"
)

func main() {
	if os.Getpid() != 1 {
		serve()
		return
	}
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	os.Setenv("HOME", "/root")
	if err := boot(); err != nil {
		fmt.Fprintln(os.Stderr, "guestinit:", err)
		halt()
	}
	reap()
}

// boot brings the guest up to the running agent.
func boot() error {
	config, err := loadConfig()
	if err != nil {
		return err
	}
	// The agent is started from the root that a mount over /tmp may soon hide.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	if err := mountAll(config); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(config.Hostname)); err != nil {
		return err
	}
	steps := [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "link", "set", "vec0", "up"},
		{"ip", "addr", "add", config.Address, "dev", "vec0"},
		{"ip", "route", "add", "default", "via", config.Gateway},
	}
	if config.Locking {
		steps = append(steps, []string{"rpcbind", "-w"}, []string{"rpc.statd"})
	}
	for _, argv := range steps {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", argv, err, out)
		}
	}
	agent := exec.Command(fmt.Sprintf("/proc/self/fd/%d", 3))
	agent.ExtraFiles = []*os.File{self}
	agent.Stdout, agent.Stderr = os.Stdout, os.Stderr
	return agent.Start()
}

func loadConfig() (*wire.Config, error) {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return nil, fmt.Errorf("mount /proc: %w", err)
	}
	text, err := os.ReadFile(os.Getenv(wire.ConfigVariable))
	if err != nil {
		return nil, err
	}
	config := new(wire.Config)
	return config, json.Unmarshal(text, config)
}

// reap collects the orphans of the guest for ever.
func reap() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			halt()
		}
	}
}

func halt() {
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	syscall.Exit(1)
}
