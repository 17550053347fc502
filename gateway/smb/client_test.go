package smb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsoda/go-smb2"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/backend/posix"
	causewaysmb "causeway/gateway/smb"
	"causeway/gateway/smb/auth"
)

// dial logs on and mounts the volume, until the test ends.
func dial(t testing.TB, s *site, user, password string) *smb2.Share {
	t.Helper()
	ses, err := logOn(s, user, password)
	if err != nil {
		t.Fatal(err)
	}
	share, err := ses.Mount("vol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		share.Umount()
		ses.Logoff()
	})
	return share
}

func logOn(s *site, user, password string) (*smb2.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: user, Password: password}}
	return d.Dial(ctx, s.addr)
}

// onStores runs a test on each kind of storage.
func onStores(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("mem", func(t *testing.T) { test(t, newSite(t, nil)) })
	t.Run("posix", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		var store backend.Store
		store, err := posix.Open(t.Context(), dir, posix.Config{})
		if err != nil {
			t.Skip("no volume here:", err)
		}
		test(t, serve(t, store, listen(t), nil))
	})
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	onStores(t, func(t *testing.T, s *site) {
		c := dial(t, s, "u", "p")
		data := make([]byte, 3<<20+17)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		ok(t, c.Mkdir("dir", 0o755))
		ok(t, c.WriteFile(`dir\file`, data, 0o644))
		got, err := c.ReadFile(`DIR\File`) // names have no case here
		ok(t, err)
		if !bytes.Equal(got, data) {
			t.Fatal("other bytes came back")
		}
		if err := c.Mkdir("Dir", 0o755); !errors.Is(err, fs.ErrExist) {
			t.Error("made twice:", err)
		}
		ok(t, c.Rename(`dir\file`, `dir\näme 𝄞`))
		if _, err := c.Stat(`dir\file`); !errors.Is(err, fs.ErrNotExist) {
			t.Error("still there:", err)
		}
		ok(t, c.Truncate(`dir\näme 𝄞`, 5))
		info, err := c.Stat(`dir\näme 𝄞`)
		ok(t, err)
		if info.Size() != 5 || info.IsDir() {
			t.Errorf("%+v", info)
		}
		when := time.Unix(1234567890, 0)
		ok(t, c.Chtimes(`dir\näme 𝄞`, when, when))
		if info, err = c.Stat(`dir\näme 𝄞`); err != nil || !info.ModTime().Equal(when) {
			t.Error(info.ModTime(), err)
		}
		if err := c.Remove("dir"); err == nil {
			t.Error("removed with what was in it")
		}
		ok(t, c.Remove(`dir\näme 𝄞`))
		ok(t, c.Remove("dir"))
		list, err := c.ReadDir("")
		ok(t, err)
		if len(list) != 0 {
			t.Errorf("left: %v", list)
		}
	})
}

// TestListing reads directories that fill several replies.
func TestListing(t *testing.T) {
	onStores(t, func(t *testing.T, s *site) {
		c := dial(t, s, "u", "p")
		var want []string
		for i := range 700 {
			name := fmt.Sprintf("%s-%d", strings.Repeat("long", 40), i)
			want = append(want, name)
			ok(t, c.WriteFile(name, nil, 0o644))
		}
		list, err := c.ReadDir("")
		ok(t, err)
		var got []string
		for _, e := range list {
			got = append(got, e.Name())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d names, want %d", len(got), len(want))
		}
	})
}

// TestRights: a user gets what causeway.Permit gives him, and no more.
func TestRights(t *testing.T) {
	s := newSite(t, nil)
	owner, other := dial(t, s, "u", "p"), dial(t, s, "other", "o")
	ok(t, owner.WriteFile("f", []byte("x"), 0o644))
	if _, err := other.ReadFile("f"); err != nil {
		t.Error("others may read:", err)
	}
	if err := other.WriteFile("f", []byte("y"), 0o644); !errors.Is(err, fs.ErrPermission) {
		t.Error("others may not write:", err)
	}
	ok(t, owner.Mkdir("d", 0o755))
	if err := other.WriteFile(`d\g`, nil, 0o644); !errors.Is(err, fs.ErrPermission) {
		t.Error("others may not create there:", err)
	}
	ok(t, owner.WriteFile(`d\h`, nil, 0o644))
	if err := other.Remove(`d\h`); !errors.Is(err, fs.ErrPermission) {
		t.Error("others may not remove:", err)
	}
}

// TestManyAtOnce lets several clients and goroutines work beside one another.
func TestManyAtOnce(t *testing.T) {
	s := newSite(t, nil)
	var all sync.WaitGroup
	for who := range 4 {
		c := dial(t, s, "u", "p")
		for part := range 4 {
			all.Go(func() {
				name := fmt.Sprintf("f%d-%d", who, part)
				data := bytes.Repeat([]byte(name), 30000)
				for range 5 {
					if err := c.WriteFile(name, data, 0o644); err != nil {
						t.Error(err)
						return
					}
					if got, err := c.ReadFile(name); err != nil || !bytes.Equal(got, data) {
						t.Error("other bytes:", err)
						return
					}
					if err := c.Remove(name); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
}

func TestLogons(t *testing.T) {
	s := newSite(t, func(c *causewaysmb.Config) { c.MaxLogons = 2 })
	for range 5 { // failures leave no room taken
		if _, err := logOn(s, "u", "wrong"); err == nil {
			t.Fatal("logged on with a wrong password")
		}
		if _, err := logOn(s, "nobody", "p"); err == nil {
			t.Fatal("logged on without an account")
		}
	}
	c := dial(t, s, "U", "p")
	if _, err := c.ReadDir(""); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.LogonFailures != 10 {
		t.Errorf("%d failures counted", st.LogonFailures)
	}
}

// TestShares: who may not use a volume neither mounts nor sees it; an unknown one does not exist.
func TestShares(t *testing.T) {
	s := newSite(t, func(c *causewaysmb.Config) {
		c.Share = func(_ *causeway.Volume, u *auth.User, _ netip.Addr) (causewaysmb.Share, bool) {
			return causewaysmb.Share{ReadOnly: true}, u.UID != 1001
		}
	})
	c := dial(t, s, "u", "p")
	if err := c.WriteFile("f", nil, 0o644); err == nil {
		t.Error("wrote to what is read-only")
	}
	for user, want := range map[string][]string{"u": {"vol", "IPC$"}, "other": {"IPC$"}} {
		ses, err := logOn(s, user, map[string]string{"u": "p", "other": "o"}[user])
		ok(t, err)
		if _, err := ses.Mount("nothing"); err == nil {
			t.Error("mounted what does not exist")
		}
		if _, err := ses.Mount("vol"); (err == nil) != (user == "u") {
			t.Errorf("%s: %v", user, err)
		}
		names, err := ses.ListSharenames()
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s sees %v, %v", user, names, err)
		}
		ses.Logoff()
	}
}

// TestShutdownWaits: what runs is answered, nothing new begins.
func TestShutdownWaits(t *testing.T) {
	s := newSite(t, nil)
	c := dial(t, s, "u", "p")
	f, err := c.Create("f")
	ok(t, err)
	_, err = f.Write([]byte("x"))
	ok(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ok(t, s.Shutdown(ctx))
	if _, err := f.WriteAt([]byte("y"), 0); err == nil {
		t.Error("wrote after the end")
	}
	if _, err := logOn(s, "u", "p"); err == nil {
		t.Error("logged on after the end")
	}
}

// TestSmbclient drives Debian's smbclient through every dialect, signature and cipher, if it is installed.
func TestSmbclient(t *testing.T) {
	client, err := exec.LookPath("smbclient")
	if err != nil {
		t.Skip("smbclient is not installed")
	}
	s := serve(t, mem.New(mem.Config{Mode: 0o777}), listen(t), nil)
	dir := t.TempDir()
	data := make([]byte, 2<<20+5)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	ok(t, os.WriteFile(filepath.Join(dir, "f"), data, 0o600))
	_, port, _ := strings.Cut(s.addr, ":")
	const signing, sealing = "client smb3 signing algorithms=", "client smb3 encryption algorithms="
	for name, args := range map[string][]string{
		"2.0.2": {"-m", "SMB2_02", "--option=client min protocol=SMB2_02"}, "2.1": {"-m", "SMB2_10"},
		"3.0": {"-m", "SMB3_00"}, "3.0.2": {"-m", "SMB3_02"}, "3.1.1": {"-m", "SMB3_11"},
		"from SMB1":  {"--option=client min protocol=NT1"},
		"3.0 sealed": {"-m", "SMB3_00", "--client-protection=encrypt"},
		"HMAC":       {"--option=" + signing + "HMAC-SHA256"}, "CMAC": {"--option=" + signing + "AES-128-CMAC"}, "GMAC": {"--option=" + signing + "AES-128-GMAC"},
		"CCM":     {"--client-protection=encrypt", "--option=" + sealing + "AES-128-CCM"},
		"GCM":     {"--client-protection=encrypt", "--option=" + sealing + "AES-128-GCM"},
		"CCM 256": {"--client-protection=encrypt", "--option=" + sealing + "AES-256-CCM"},
		"GCM 256": {"--client-protection=encrypt", "--option=" + sealing + "AES-256-GCM"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, client, append([]string{"//127.0.0.1/vol", "-U", "u%p", "-p", port, "-c", "put f; ls; get f g; rename f h; del h; ls"}, args...)...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "NT_STATUS") {
				t.Fatalf("%v\n%s", err, out)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "g")); err != nil || !bytes.Equal(got, data) {
				t.Error("other bytes came back", err)
			}
		})
	}
}
