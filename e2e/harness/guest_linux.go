package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness/wire"
)

// GuestConfig says what a guest is.
type GuestConfig struct {
	Name    string            // hostname: servers tell NLM and NFSv4.0 clients apart by it. Must be unique on the network
	Locking bool              // runs rpcbind and rpc.statd
	Memory  string            // default 192M
	Shared  map[string]string // directories of the host by path in the guest
}

// Guest is a User-mode Linux with the kernel's own NFS and SMB clients. Its root is the host's, read-only; /tmp, /run and
// /mnt are memory, and /var/lib/nfs survives Kill and Boot.
type Guest struct {
	t       testing.TB
	config  GuestConfig
	network *Network
	tap     string
	dir     string
	Address netip.Addr

	process *exec.Cmd
	ended   chan struct{}
}

// bootTime bounds the boot of a guest on a machine that does much else.
const bootTime = 90 * time.Second

// Boot boots a guest on the network. It ends with the test.
func (n *Network) Boot(config GuestConfig) *Guest {
	n.t.Helper()
	if config.Memory == "" {
		config.Memory = "192M"
	}
	tap, address, err := n.tap()
	if err != nil {
		n.t.Fatal(err)
	}
	guest := &Guest{t: n.t, config: config, network: n, tap: tap, dir: n.t.TempDir(), Address: address}
	if err := guest.writeConfig(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(guest.Kill)
	n.t.Cleanup(func() {
		if n.t.Failed() {
			n.t.Logf("guest %s is %s; its console:\n%s", config.Name, guest.condition(), tail(guest.console()))
		}
	})
	guest.Boot()
	return guest
}

func (g *Guest) console() string   { return filepath.Join(g.dir, "console") }
func (g *Guest) state() string     { return filepath.Join(g.dir, "state") }
func (g *Guest) readyFile() string { return filepath.Join(g.state(), wire.ReadyFile) }

// writeConfig writes the guest's configuration, and the state of a statd that has never run.
func (g *Guest) writeConfig() error {
	state := g.state()
	for _, dir := range []string{"sm", "sm.bak", "rpc_pipefs"} {
		if err := os.MkdirAll(filepath.Join(state, dir), 0o755); err != nil {
			return err
		}
	}
	// Built programs have the same path in the guest, although memory lies over its /tmp.
	programs, err := binaries()
	if err != nil {
		return err
	}
	shared := map[string]string{programs: programs}
	maps.Copy(shared, g.config.Shared)
	text, err := json.Marshal(wire.Config{
		Hostname: g.config.Name,
		Address:  netip.PrefixFrom(g.Address, prefixBits).String(),
		Gateway:  hostAddress(1).String(),
		StateDir: state,
		Shared:   shared,
		Locking:  g.config.Locking,
		Hosts:    fmt.Sprintf("%v %s\n", g.Address, g.config.Name),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(g.dir, "config"), text, 0o644)
}

// Boot boots the guest, again after [Guest.Kill]: it has its old hostname, address and NSM state then.
func (g *Guest) Boot() {
	g.t.Helper()
	if err := g.start(); err != nil {
		g.t.Fatalf("boot guest %s: %v", g.config.Name, err)
	}
	err := Poll(bootTime, func() error {
		select {
		case <-g.ended:
			g.t.Fatalf("guest %s died while booting:\n%s", g.config.Name, tail(g.console()))
		default:
		}
		_, err := os.Stat(g.readyFile())
		return err
	})
	if err != nil {
		g.t.Fatalf("guest %s does not come up: %v\n%s", g.config.Name, err, tail(g.console()))
	}
}

func (g *Guest) start() error {
	if err := os.RemoveAll(g.readyFile()); err != nil {
		return err
	}
	library, err := shim()
	if err != nil {
		return err
	}
	console, err := os.OpenFile(g.console(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	g.process = exec.Command("linux.uml", "mem="+g.config.Memory,
		"root=none", "rootfstype=hostfs", "rootflags=/", "ro", "init="+Build(g.t, "e2e/harness/guestinit"),
		"vec0:transport=tap,ifname="+g.tap+",depth=128,gro=1", "con=null", "con0=null,fd:1", "quiet",
		"uml_dir="+g.dir, "panic=-1", wire.ConfigVariable+"="+filepath.Join(g.dir, "config"))
	g.process.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + g.dir, "LD_PRELOAD=" + library, "TMPDIR=/dev/shm"}
	g.process.Stdout, g.process.Stderr = console, console
	g.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.network.center.start(g.process); err != nil {
		return err
	}
	g.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) { process.Wait(); close(ended) }(g.process, g.ended)
	return nil
}

// Kill ends the guest at once, as if its power failed. What it had not sent to a server is lost.
func (g *Guest) Kill() {
	if g.process == nil {
		return
	}
	g.process.Process.Kill()
	<-g.ended
	g.process = nil
}

// condition says, for a failing test, whether the guest's machine runs, waits or has ended.
func (g *Guest) condition() string {
	if g.process == nil {
		return "switched off"
	}
	select {
	case <-g.ended:
		return "gone: " + g.process.ProcessState.String()
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := g.dial(ctx)
	if err == nil {
		conn.Close()
		return "answering"
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.process.Process.Pid))
	return fmt.Sprintf("not answering (%v), its process: %s", err, stat)
}
