package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	library "causeway/client"
	"causeway/cmd/causeway/member"
	"causeway/internal/testcert"
	"causeway/internal/testport"
)

// awareCluster runs three gateways that answer aware clients, with a volume.
func awareCluster(t *testing.T) (c *nodes, dir string, at func(string) string) {
	t.Helper()
	c, dir = prepareCluster(t), share(t, "home")
	port := c.anotherPort()
	c.startAll("--aware", port)
	var v member.Volume
	c.ask("g2", &v, "volume", "create", "home", "--backend", "posix:"+dir)
	for name := range c.addr {
		c.until(name+" knows three servers of the database", func() bool {
			text, err := os.ReadFile(filepath.Join(c.at[name].state, "cluster", "cluster.json"))
			return err == nil && strings.Count(string(text), "https://") == 3
		})
	}
	at = func(name string) string { return net.JoinHostPort(c.addr[name].String(), port) }
	return c, dir, at
}

// userID is who the aware clients of tests are.
var userID = uint32(1000)

func awareVolume(t *testing.T, cfg library.Config, at ...string) (*library.Client, *library.Volume) {
	t.Helper()
	cfg.UID, cfg.GID = &userID, &userID
	var u *library.Client
	var v *library.Volume
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) { // the gateways may just have begun to know the volume
		var err error
		if u, err = library.Dial(context.Background(), cfg, at...); err == nil {
			if v, err = u.Volume(context.Background(), "home"); err == nil {
				break
			}
			u.Close()
		}
		if time.Since(begun) > patience {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { u.Close() })
	return u, v
}

// TestAwareClients: a gateway is killed under several aware clients. No error surfaces, each change is made once, and what was acknowledged
// is in the directory.
func TestAwareClients(t *testing.T) {
	c, dir, at := awareCluster(t)
	all := []string{at("g1"), at("g2"), at("g3")}
	var mu sync.Mutex
	var worst []time.Duration
	acknowledged := map[string]string{}
	stop := make(chan struct{})
	var users sync.WaitGroup
	rounds := make([]int, 9)
	for i := range rounds {
		_, v := awareVolume(t, library.Config{}, all[i%3], all[(i+1)%3], all[(i+2)%3])
		users.Go(func() {
			longest := time.Duration(0)
			for round := 0; ; round++ {
				select {
				case <-stop:
					mu.Lock()
					worst = append(worst, longest)
					mu.Unlock()
					return
				default:
				}
				begun := time.Now()
				name, text := fmt.Sprintf("u%d-%d", i, round), fmt.Sprint(i, " wrote ", round)
				if err := awareRound(v, name, text); err != nil {
					t.Errorf("user %d, round %d: %v", i, round, err)
					return
				}
				longest = max(longest, time.Since(begun))
				mu.Lock()
				acknowledged[name] = text
				rounds[i]++
				mu.Unlock()
			}
		})
	}
	go2 := func(more int) {
		mu.Lock()
		from := slices.Clone(rounds)
		mu.Unlock()
		c.until("all clients work", func() bool {
			mu.Lock()
			defer mu.Unlock()
			for i := range rounds {
				if rounds[i] < from[i]+more {
					return t.Failed()
				}
			}
			return true
		})
	}
	go2(3)
	dead := c.owner("g1", "home")
	if err := c.at[dead].signal(syscall.SIGKILL); err == nil {
		t.Error("killed, and ended well")
	}
	go2(10)
	close(stop)
	users.Wait()
	t.Logf("%s was killed under %d clients; the longest create, write, sync, rename and read of each took %v", dead, len(rounds), worst)
	for name, text := range acknowledged {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was done")
	}
}

// awareRound makes a file that did not exist, and gives it its name.
func awareRound(v *library.Volume, name, text string) error {
	ctx := context.Background()
	f, err := v.OpenFile(ctx, name+".new", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, text); err != nil {
		return err
	}
	if err := errors.Join(f.Close(), v.Rename(ctx, name+".new", name)); err != nil {
		return err
	}
	got, err := v.ReadFile(ctx, name)
	if err == nil && string(got) != text {
		err = fmt.Errorf("reads %q, not %q", got, text)
	}
	return err
}

// TestAwareDrain: clients learn from one gateway where the others are, and leave one that drains.
func TestAwareDrain(t *testing.T) {
	c, _, at := awareCluster(t)
	u, v := awareVolume(t, library.Config{}, at("g1"))
	c.until("the client knows all gateways", func() bool { return len(u.Paths("home")) == 3 })
	if here := u.Paths("home")[0].Gateway; here != at("g1") {
		t.Errorf("it is at %s", here)
	}
	if _, stderr, code := run(t, "node", "drain", "g1", "--state-dir", c.at["g2"].state); code != 0 {
		t.Fatal(stderr)
	}
	c.until("it has left", func() bool { return u.Paths("home")[0].Gateway != at("g1") })
	if err := awareRound(v, "after", "text"); err != nil {
		t.Error(err)
	}
}

// TestAwareAlone: a gateway without a cluster answers aware clients too, under its export rules.
func TestAwareAlone(t *testing.T) {
	dir, port := share(t, "home"), testport.At(t, "127.0.0.1")
	startServe(t, t.TempDir(), nil, "home="+dir, "--listen", "127.0.0.1:0", "--admin", "off", "--aware", fmt.Sprint(port), "--allow", "127.0.0.1/32=rw")
	_, v := awareVolume(t, library.Config{}, fmt.Sprint("127.0.0.1:", port))
	big := strings.Repeat("0123456789abcdef", 300_000)
	if err := v.WriteFile(context.Background(), "big", []byte(big), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "big")); err != nil || string(got) != big {
		t.Error(len(got), err)
	}
	if got, err := v.ReadFile(context.Background(), "big"); err != nil || string(got) != big {
		t.Error(len(got), err)
	}
}

// TestAwareHost: a program on the gateway's host reads a file by itself, as the user that it is, and sees what others write.
func TestAwareHost(t *testing.T) {
	dir, port, socket := share(t, "home"), testport.At(t, "127.0.0.1"), filepath.Join(t.TempDir(), "run", "socket")
	startServe(t, t.TempDir(), nil, "home="+dir, "--listen", "127.0.0.1:0", "--admin", "off", "--aware", fmt.Sprint(port), "--aware-unix", socket, "--allow", "127.0.0.1/32=rw,no_root_squash")
	c, err := library.Dial(t.Context(), library.Config{Local: socket}, fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Volume(t.Context(), "home")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.WriteFile(t.Context(), "file", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := v.Open(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 8)
	for _, want := range []string{"text", "further"} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := f.ReadAt(got, 0); err != io.EOF || string(got[:n]) != want {
			t.Fatalf("%q, %v", got[:n], err)
		}
		if !f.Borrowed() {
			t.Error("it came by way of the gateway")
		}
	}
}

// TestAwareTLS: with a certificate the gateway answers those who trust it, and nobody in the clear. A renewed certificate counts at once.
func TestAwareTLS(t *testing.T) {
	dir, port, where := share(t, "home"), testport.At(t, "127.0.0.1"), t.TempDir()
	pool := newCertificate(t, where)
	startServe(t, t.TempDir(), nil, "home="+dir, "--listen", "127.0.0.1:0", "--admin", "off", "--aware", fmt.Sprint(port), "--allow", "127.0.0.1/32=rw",
		"--aware-tls", filepath.Join(where, "cert.pem")+","+filepath.Join(where, "key.pem"))
	at := fmt.Sprint("127.0.0.1:", port)
	_, v := awareVolume(t, library.Config{TLS: &tls.Config{RootCAs: pool}}, at)
	if err := v.WriteFile(context.Background(), "file", []byte("text"), 0o644); err != nil {
		t.Error(err)
	}
	for name, cfg := range map[string]library.Config{"in the clear": {}, "another authority": {TLS: &tls.Config{RootCAs: x509.NewCertPool()}}} {
		if c, err := library.Dial(context.Background(), cfg, at); err == nil {
			c.Close()
			t.Error(name, ": answered")
		}
	}
	pool = newCertificate(t, where)
	c, err := library.Dial(context.Background(), library.Config{TLS: &tls.Config{RootCAs: pool}}, at)
	if err != nil {
		t.Fatal("the renewed certificate is not used:", err)
	}
	c.Close()
	if _, stderr, code := run(t, "serve", dir, "--admin", "off", "--state-dir", t.TempDir(), "--aware", "1", "--aware-tls", "one-file"); code == 0 || !strings.Contains(stderr, "aware-tls") {
		t.Error(code, stderr)
	}
}

// newCertificate writes cert.pem and key.pem for 127.0.0.1, and returns who trusts them.
func newCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	cert, pool := testcert.New(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return pool
}
