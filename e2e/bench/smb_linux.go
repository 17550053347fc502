package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cloudsoda/go-smb2"

	"causeway/e2e/peer"
)

// smbWork is a workload over SMB: do is called with a server, and returns how many units it came to.
type smbWork struct {
	name, unit string
	target     float64 // of smbd's CPU time
	do         func(ctx context.Context, s *peer.SMBServer, dir string) (units float64, err error)
	prepare    func(fs *smb2.Share) error // not measured; nil: nothing
}

// smbBulk is the size of the file that is moved, in MiB, and smbSmall how many small operations are made.
const (
	smbBulk  = 512
	smbSmall = 3000
)

// smbWorks: bulk goes through smbclient, which signs with GMAC; small operations through a client of this process.
var smbWorks = []smbWork{
	{"read1m", "GiB", 0.9, getFile("off"), makeBig}, {"read1m-signed", "GiB", 0.5, getFile("sign"), makeBig}, {"read1m-sealed", "GiB", 0.5, getFile("encrypt"), makeBig},
	{"write1m", "GiB", 0.9, putFile("off"), makeBig}, {"write1m-signed", "GiB", 0.5, putFile("sign"), makeBig}, {"write1m-sealed", "GiB", 0.5, putFile("encrypt"), makeBig},
	{"read4k", "1000", 0.7, withShare(readSmall), nil}, {"create", "1000", 0.5, withShare(createSmall), removeAll},
	{"stat", "1000", 0.5, withShare(statSmall), createSmall}, {"unlink", "1000", 0.5, withShare(unlinkSmall), createSmall},
}

// compareSMB is the subcommand smb: causeway beside smbd, in alternating rounds.
func compareSMB(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("bench smb", flag.ExitOnError)
	rounds := set.Int("rounds", 3, "rounds, of which medians are taken")
	match := set.String("workloads", "", "regular expression that names of workloads must match")
	profile := set.String("profile", "", "directory for a CPU profile of causeway per workload, taken after the rounds")
	program := set.String("causeway", "", "the causeway binary; empty: build it")
	if err := set.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*match)
	if err != nil {
		return err
	}
	works := slices.DeleteFunc(slices.Clone(smbWorks), func(w smbWork) bool { return !pattern.MatchString(w.name) })
	base, err := os.MkdirTemp("", "causeway-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	built, err := build(ctx, []string{"causeway"}, filepath.Join(base, "bin"), *program)
	if err != nil {
		return err
	}
	ours, err := peer.StartCausewaySMB(ctx, built.causeway, peer.Config{Dir: filepath.Join(base, "a"), Work: filepath.Join(base, "causeway")}, netip.MustParseAddrPort("127.0.45.1:445"))
	if err != nil {
		return err
	}
	defer ours.Stop()
	theirs, err := peer.StartSMBD(ctx, peer.Config{Dir: filepath.Join(base, "b"), Work: filepath.Join(base, "smbd")}, netip.MustParseAddrPort("127.0.45.2:445"))
	if err != nil {
		return err
	}
	defer theirs.Stop()
	source := filepath.Join(base, "source")
	if err := os.WriteFile(source, make([]byte, smbBulk<<20), 0o600); err != nil {
		return err
	}
	fmt.Printf("%-16s %14s %14s %8s %8s\n", "workload", "causeway", "smbd", "ratio", "target")
	for _, w := range works {
		var costs [2][]float64
		for range *rounds {
			for i, s := range []*peer.SMBServer{ours, theirs} {
				cost, err := smbCost(ctx, w, s, base)
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				costs[i] = append(costs[i], cost)
			}
		}
		slices.Sort(costs[0])
		slices.Sort(costs[1])
		a, b := costs[0][len(costs[0])/2], costs[1][len(costs[1])/2]
		fmt.Printf("%-16s %9.3f s/%-4s %9.3f s/%-4s %7.2f %8.2f\n", w.name, a, w.unit, b, w.unit, a/b, w.target)
		if *profile != "" {
			if err := profileSMB(ctx, w, ours, base, *profile); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleTime is for the end of what was done before: the processes of connections that end use time, too, and are counted by their parent
// then.
const settleTime = 200 * time.Millisecond

// smbCost is the server's CPU time per unit, in seconds.
func smbCost(ctx context.Context, w smbWork, s *peer.SMBServer, dir string) (float64, error) {
	if w.prepare != nil {
		if _, err := withShare(w.prepare)(ctx, s, dir); err != nil {
			return 0, fmt.Errorf("prepare: %w", err)
		}
		time.Sleep(settleTime)
	}
	before, err := s.CPU()
	if err != nil {
		return 0, err
	}
	units, err := w.do(ctx, s, dir)
	if err != nil {
		return 0, err
	}
	time.Sleep(settleTime)
	after, err := s.CPU()
	return (after - before).Seconds() / units, err
}

// smbclient runs commands in the share.
func smbclient(ctx context.Context, s *peer.SMBServer, protection, commands string) error {
	c := exec.CommandContext(ctx, "smbclient", "//"+s.Addr.Addr().String()+"/"+peer.SMBShare, "-U", peer.SMBUser+"%"+peer.SMBPassword,
		"--client-protection="+protection, "-m", "SMB3_11", "-c", commands)
	out, err := c.CombinedOutput()
	if err != nil || strings.Contains(string(out), "NT_STATUS") {
		return fmt.Errorf("smbclient: %v: %s", err, out)
	}
	return nil
}

func getFile(protection string) func(context.Context, *peer.SMBServer, string) (float64, error) {
	return func(ctx context.Context, s *peer.SMBServer, dir string) (float64, error) {
		return smbBulk / 1024., smbclient(ctx, s, protection, "get big /dev/null")
	}
}

func putFile(protection string) func(context.Context, *peer.SMBServer, string) (float64, error) {
	return func(ctx context.Context, s *peer.SMBServer, dir string) (float64, error) {
		return smbBulk / 1024., smbclient(ctx, s, protection, "put "+filepath.Join(dir, "source")+" big")
	}
}

// withShare connects the client of this process.
func withShare(do func(fs *smb2.Share) error) func(context.Context, *peer.SMBServer, string) (float64, error) {
	return func(ctx context.Context, s *peer.SMBServer, _ string) (float64, error) {
		d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: peer.SMBUser, Password: peer.SMBPassword}}
		session, err := d.Dial(ctx, s.Addr.String())
		if err != nil {
			return 0, err
		}
		defer session.Logoff()
		fs, err := session.Mount(peer.SMBShare)
		if err != nil {
			return 0, err
		}
		return smbSmall / 1000., do(fs)
	}
}

func readSmall(fs *smb2.Share) error {
	f, err := fs.OpenFile("small", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 4096)
	for i := range 16 {
		if _, err := f.WriteAt(block, int64(i)*4096); err != nil {
			return err
		}
	}
	for i := range smbSmall {
		if _, err := f.ReadAt(block, int64(i%16)*4096); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

func eachSmall(do func(name string) error) error {
	for i := range smbSmall {
		if err := do(fmt.Sprintf("dir\\file%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// createSmall makes the files anew.
func createSmall(fs *smb2.Share) error {
	if err := fs.MkdirAll("dir", 0o755); err != nil {
		return err
	}
	return eachSmall(func(name string) error {
		f, err := fs.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

func statSmall(fs *smb2.Share) error {
	return eachSmall(func(name string) error { _, err := fs.Stat(name); return err })
}

func unlinkSmall(fs *smb2.Share) error { return eachSmall(fs.Remove) }

func removeAll(fs *smb2.Share) error { return fs.RemoveAll("dir") }

func makeBig(fs *smb2.Share) error {
	f, err := fs.Create("big")
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); err == nil; {
		end, seekErr := f.Seek(0, io.SeekCurrent)
		if seekErr != nil || end >= smbBulk<<20 {
			return seekErr
		}
		_, err = f.Write(block)
	}
	return err
}

// profileSMB runs a workload while a profile is taken.
func profileSMB(ctx context.Context, w smbWork, s *peer.SMBServer, dir, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	out := filepath.Join(to, w.name+".pprof")
	done := make(chan error, 1)
	go func() {
		done <- exec.CommandContext(ctx, "curl", "-sf", "--unix-socket", s.Admin, "-o", out, "http://causeway/debug/pprof/profile?seconds=4").Run()
	}()
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		if _, err := smbCost(ctx, w, s, dir); err != nil {
			return err
		}
	}
}
