package smb_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/smb"
	"causeway/e2e/harness"
	"causeway/e2e/peer"
	"causeway/internal/testport"
)

// caps is what a share can do. Times of directories are the server's affair, and change when something below does.
var caps = backendtest.Caps{Times: true, StableTimes: true, ChangeTimes: true, Replace: true, StableIDs: true, Granularity: 100 * time.Nanosecond}

// cannot are the tests of what a share does otherwise, each with the reason.
var cannot = map[string]string{
	"Lookup/found":          "the servers take names that differ in case for the same",
	"SetStat/changes ctime": "it sets a mode, and modes are not kept",
}

// tenThousand makes and removes that many files, one after another.
const tenThousand = "List/10000 entries while others come and go"

// conform runs the suite against a server's share, in a directory of its own for each test.
func conform(t *testing.T, s *peer.SMBServer, dir string) {
	shares := 0
	under := map[backend.Store]smb.Config{}
	open := func(t testing.TB, cfg smb.Config) backend.Store {
		store, err := smb.Open(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		under[store] = cfg
		return store
	}
	backendtest.Run(t, backendtest.Options{
		New: func(t testing.TB) backend.Store {
			shares++
			name := fmt.Sprint("test", shares)
			if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
				t.Fatal(err)
			}
			return open(t, smb.Config{Address: s.Addr.String(), Share: peer.SMBShare, User: peer.SMBUser, Password: peer.SMBPassword,
				Directory: name, Attributes: -1})
		},
		Reopen: func(t testing.TB, s backend.Store) backend.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, under[s])
		},
		Caps: caps,
		Tick: func() { time.Sleep(20 * time.Millisecond) }, // file times move in steps
		Skip: func(name string) string {
			if name == tenThousand && !harness.Long() {
				return "it takes minutes, and runs with the long tests"
			}
			return cannot[name]
		},
	})
}

func needSMB(t *testing.T) {
	harness.RequireProgram(t, "smbd", "samba")
}

func TestConformanceSmbd(t *testing.T) {
	needSMB(t)
	dir := t.TempDir()
	s, err := peer.StartSMBD(t.Context(), peer.Config{Dir: filepath.Join(dir, "share"), Work: filepath.Join(dir, "work")}, testport.Loopback(t, 445))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	conform(t, s, filepath.Join(dir, "share"))
}

func TestConformanceCauseway(t *testing.T) {
	needSMB(t)
	dir := t.TempDir()
	s, err := peer.StartCausewaySMB(t.Context(), harness.Build(t, "cmd/causeway"), peer.Config{Dir: filepath.Join(dir, "share"), Work: filepath.Join(dir, "work")}, testport.Loopback(t, 445))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	conform(t, s, filepath.Join(dir, "share"))
}

// TestHugeDirectory: a directory that has more entries than are kept cannot be listed, and costs no more than these; all else goes on.
func TestHugeDirectory(t *testing.T) {
	needSMB(t)
	dir := t.TempDir()
	s, err := peer.StartSMBD(t.Context(), peer.Config{Dir: filepath.Join(dir, "share"), Work: filepath.Join(dir, "work")}, testport.Loopback(t, 445))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	const files = 5000
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, "share", fmt.Sprint("file", i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for most, want := range map[int]causeway.Code{files - 1: causeway.ErrIO, files: causeway.OK, 10: causeway.ErrIO} {
		store, err := smb.Open(t.Context(), smb.Config{Address: s.Addr.String(), Share: peer.SMBShare, User: peer.SMBUser, Password: peer.SMBPassword, MaxEntries: most})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		_, err = store.List(t.Context(), store.Root(), 0, false, func(*causeway.DirEntry) bool { n++; return true })
		if causeway.CodeOf(err) != want || want == causeway.OK && n != files+2 {
			t.Errorf("at most %d: %d entries, %v", most, n, err)
		}
		if _, _, err := store.Lookup(t.Context(), store.Root(), "file7"); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
