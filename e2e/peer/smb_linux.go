package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// SMBServer is a server with one share, for one user.
type SMBServer struct {
	*Process
	Addr  netip.AddrPort
	Admin string // unix socket with pprof, empty if there is none
}

// The share and the user of every SMBServer; the user is root on the server's machine.
const (
	SMBShare    = "bench"
	SMBUser     = "root"
	SMBPassword = "bench"
)

// StartCausewaySMB starts the causeway binary on a directory, with SMB at an address of this machine.
func StartCausewaySMB(ctx context.Context, program string, cfg Config, at netip.AddrPort) (*SMBServer, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	state := filepath.Join(cfg.Work, "state")
	add := exec.CommandContext(ctx, program, "user", "add", SMBUser, "--uid", "0", "--gid", "0", "--state-dir", state)
	add.Stdin = strings.NewReader(SMBPassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("user add: %w: %s", err, out)
	}
	cmd := exec.Command(program, "serve", SMBShare+"="+cfg.Dir, "--listen", netip.AddrPortFrom(at.Addr(), 0).String(), "--smb", at.String(),
		"--smb-signing", "offered", "--async", "--state-dir", state, "--admin", "off")
	return launchSMB(ctx, cfg, &SMBServer{Addr: at, Admin: filepath.Join(state, "control.sock")}, cmd)
}

// smbdConfig is Debian's, in a directory of its own. What is not said is smbd's default.
const smbdConfig = `[global]
	server role = standalone server
	interfaces = %[1]s/8
	bind interfaces only = yes
	smb ports = %[2]d
	disable netbios = yes
	passdb backend = tdbsam:%[3]s/passdb.tdb
	private dir = %[3]s
	lock directory = %[3]s
	state directory = %[3]s
	cache directory = %[3]s
	pid directory = %[3]s
	ncalrpc dir = %[3]s/ncalrpc
	log file = %[3]s/smbd.log
	load printers = no
	disable spoolss = yes
[` + SMBShare + `]
	path = %[4]s
	read only = no
`

// StartSMBD starts Debian's smbd at an address of this machine.
func StartSMBD(ctx context.Context, cfg Config, at netip.AddrPort) (*SMBServer, error) {
	program, err := exec.LookPath("smbd")
	if err != nil {
		return nil, fmt.Errorf("smbd: %w (Debian package samba)", err)
	}
	if err := errors.Join(cfg.prepare(), os.MkdirAll(filepath.Join(cfg.Work, "ncalrpc"), 0o755)); err != nil {
		return nil, err
	}
	conf := filepath.Join(cfg.Work, "smb.conf")
	text := fmt.Sprintf(smbdConfig, at.Addr(), at.Port(), cfg.Work, cfg.Dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	add := exec.CommandContext(ctx, "smbpasswd", "-c", conf, "-s", "-a", SMBUser)
	add.Stdin = strings.NewReader(SMBPassword + "\n" + SMBPassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("smbpasswd: %w: %s", err, out)
	}
	return launchSMB(ctx, cfg, &SMBServer{Addr: at}, exec.Command(program, "--foreground", "--no-process-group", "-s", conf))
}

func launchSMB(ctx context.Context, cfg Config, s *SMBServer, cmd *exec.Cmd) (_ *SMBServer, err error) {
	if c, err := net.DialTimeout("tcp", s.Addr.String(), time.Second); err == nil { // it would be taken for the one that is started
		c.Close()
		return nil, fmt.Errorf("somebody listens at %v already: a server that an interrupted run has left?", s.Addr)
	}
	here, err := HostNamespace()
	if err != nil {
		return nil, err
	}
	defer here.Close()
	if s.Process, err = start(here, filepath.Join(cfg.Work, "log"), cmd); err != nil {
		return nil, err
	}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", s.Addr.String(), time.Second)
		if err == nil {
			c.Close()
			return s, nil
		}
		if !s.Running() || time.Since(begun) > readyTime || ctx.Err() != nil {
			s.Stop()
			return nil, fmt.Errorf("the server does not answer: %w; its last words: %s", err, s.log())
		}
	}
}
