package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudsoda/go-smb2"
)

// smbUser is a user of a share who knows the addresses of several gateways, and goes on to the next one when a connection breaks.
type smbUser struct {
	t     *testing.T
	at    []string
	now   int // of at
	share *smb2.Share
	end   func()
}

func (u *smbUser) dial() error {
	ctx, cancel := context.WithTimeout(u.t.Context(), patience)
	defer cancel()
	d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: "ann", Password: "secret"}}
	session, err := d.Dial(ctx, u.at[u.now])
	if err != nil {
		return err
	}
	u.end = func() { _ = session.Logoff() }
	u.share, err = session.Mount("home")
	return err
}

// do does something, again and elsewhere when that breaks.
func (u *smbUser) do(what func(*smb2.Share) error) {
	u.t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := error(nil)
		if u.share == nil {
			err = u.dial()
		}
		if err == nil {
			if err = what(u.share); err == nil {
				return
			}
		}
		if u.share = nil; time.Since(begun) > patience {
			u.t.Fatalf("at %v: %v", u.at[u.now], err)
		}
		u.now = (u.now + 1) % len(u.at)
	}
}

// work writes a file and reads it back.
func (u *smbUser) work(name string) {
	u.t.Helper()
	data := bytes.Repeat([]byte(name), 1000)
	u.do(func(s *smb2.Share) error { return s.WriteFile(name, data, 0o644) })
	u.do(func(s *smb2.Share) error {
		got, err := s.ReadFile(name)
		if err == nil && !bytes.Equal(got, data) {
			u.t.Errorf("%s: other bytes", name)
		}
		return err
	})
}

// smbclient puts a file through the first gateway that takes it.
func (u *smbUser) smbclient(port, local, name string) {
	u.t.Helper()
	for begun := time.Now(); ; {
		for _, at := range u.at {
			host, _, _ := net.SplitHostPort(at)
			out, err := exec.Command("smbclient", "//"+host+"/home", "-p", port, "-U", "ann%secret", "-c", "put "+local+" "+name).CombinedOutput()
			if err == nil && !bytes.Contains(out, []byte("NT_STATUS")) {
				return
			}
			if time.Since(begun) > patience {
				u.t.Fatalf("smbclient at %s: %v\n%s", at, err, out)
			}
		}
	}
}

// TestSMBDrain: clients of a gateway that drains finish what they have begun, nobody new gets in there, and all go on at the other gateway; then
// it takes clients again. What they have written is all there, also when a gateway stops under them.
func TestSMBDrain(t *testing.T) {
	c, dir, port := smbCluster(t, "g1", "g2")
	var v struct{ Owner string }
	c.ask("g1", &v, "volume", "create", "home", "--backend", "posix:"+dir, "--preferred", "g2")
	at1, at2 := c.addr["g1"].String()+":"+port, c.addr["g2"].String()+":"+port
	refuses := func(at string) bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}

	idle, busy := &smbUser{t: t, at: []string{at2, at1}}, &smbUser{t: t, at: []string{at2, at1}}
	idle.work("before")
	busy.work("before too")
	defer func() { busy.end(); idle.end() }()
	open, err := busy.share.Create("open")
	if err != nil {
		t.Fatal(err)
	}
	c.ask("g1", &struct{}{}, "node", "drain", "g2")
	c.until("g2 takes no connections of SMB", func() bool { return refuses(at2) })
	if _, err := open.Write([]byte("finished")); err != nil {
		t.Error("a client with an open file was cut off at once:", err)
	}
	if err := open.Close(); err != nil {
		t.Error(err)
	}
	c.until("the client that has nothing open is cut off", func() bool {
		_, err := idle.share.Stat("before")
		time.Sleep(1100 * time.Millisecond)
		return err != nil
	})
	for i := range 5 {
		idle.work(fmt.Sprint("idle", i))
		busy.work(fmt.Sprint("busy", i))
	}
	if idle.now != 1 || busy.now != 1 {
		t.Error("they are still at the gateway that drains")
	}
	if _, err := exec.LookPath("smbclient"); err == nil {
		idle.smbclient(port, "smb_drain_test.go", "put")
	}
	c.ask("g1", &struct{}{}, "node", "set", "g2", "--active")
	c.until("g2 takes connections of SMB", func() bool { return !refuses(at2) })
	back := &smbUser{t: t, at: []string{at2}}
	back.work("back")
	defer func() { back.end() }()

	// One that stops: its address goes to the other gateway, and whoever stays with it is served from there.
	if err := c.at["g2"].signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for i := range 3 {
		back.work(fmt.Sprint("after", i))
	}
	for _, name := range []string{"before", "open", "idle4", "busy4", "back", "after2"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if log := c.at["g1"].logged(); strings.Contains(log, "panic") {
		t.Error(log)
	}
}

// TestSMBStaysAlone: where clients could go nowhere else, they stay at a gateway that drains.
func TestSMBStaysAlone(t *testing.T) {
	c, dir, port := smbCluster(t, "g1")
	c.ask("g1", &struct{}{}, "volume", "create", "home", "--backend", "posix:"+dir)
	var set struct {
		TTL float64 `json:"referral_ttl"`
	}
	if c.ask("g2", &set, "cluster", "set", "--referral-ttl", "90s"); set.TTL != 90 {
		t.Errorf("%+v", set)
	}
	c.fails("g2", "cluster", "set", "--referral-ttl", "1ms")
	if c.ask("g1", &set, "cluster", "set", "--referral-ttl", "0s"); set.TTL != 300 {
		t.Errorf("%+v", set)
	}
	u := &smbUser{t: t, at: []string{c.addr["g1"].String() + ":" + port}}
	u.work("before")
	defer func() { u.end() }()
	c.ask("g2", &struct{}{}, "node", "drain", "g1")
	for begun := time.Now(); time.Since(begun) < 3*smbLooksEvery; time.Sleep(smbLooksEvery / 2) {
		if _, err := u.share.Stat("before"); err != nil {
			t.Fatal(err)
		}
	}
	u.work("after")
}
