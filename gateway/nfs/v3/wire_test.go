package v3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	nfsrpc "github.com/willscott/go-nfs-client/nfs/rpc"

	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
)

// serve serves the site's volume over TCP.
func serve(t *testing.T, s *site) (address string) {
	t.Helper()
	mounts, err := mount.New(mount.Config{Guard: &export.Guard{Catalog: s.catalog}, Access: s.names})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server.Register(v3.Program, v3.Version, s.server)
	server.Register(mount.Program, mount.Version3, mounts)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, address string) *nfs.Target {
	t.Helper()
	client, err := nfsrpc.DialTCP("tcp", address, false)
	for tries := 0; err != nil && tries < 100; tries++ { // it guesses its own port, which may be taken
		client, err = nfsrpc.DialTCP("tcp", address, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	auth := nfsrpc.NewAuthUnix("client", uint32(os.Getuid()), uint32(os.Getgid())).Auth()
	m := nfs.Mount{Client: client}
	target, err := m.Mount("/v", auth)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// TestForeignClient works on both kinds of storage with a client that shares no code with the server.
func TestForeignClient(t *testing.T) {
	t.Run("mem", func(t *testing.T) { useAll(t, dial(t, serve(t, newSite(t)))) })
	t.Run("posix", func(t *testing.T) { useAll(t, dial(t, serve(t, newDiskSite(t)))) })
}

func useAll(t *testing.T, v *nfs.Target) {
	if _, err := v.Mkdir("/d", 0o755); err != nil {
		t.Fatal(err)
	}
	data := pattern(3<<20 + 5)
	copyThrough(t, v, "/d/file", data)
	if err := v.Rename("/d/file", "/d/renamed"); err != nil {
		t.Fatal(err)
	}
	if err := v.Symlink("renamed", "/d/link"); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if _, err := v.Create(fmt.Sprintf("/d/n%d", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := v.ReadDirPlus("/d")
	if err != nil || len(entries) < 302 {
		t.Fatal(len(entries), err)
	}
	for _, e := range entries {
		if e.FileName == "renamed" && e.Size() != int64(len(data)) {
			t.Error("size in the listing:", e.Size())
		}
	}
	if err := v.RmDir("/d"); !nfs.IsNotEmptyError(err) {
		t.Error(err)
	}
	if err := v.RemoveAll("/d"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Lookup("/d", false); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func copyThrough(t *testing.T, v *nfs.Target, path string, data []byte) {
	t.Helper()
	f, err := v.OpenFile(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = v.Open(path); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatal("read back", len(got), "bytes:", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestManyForeignClients does the same from several connections at once.
func TestManyForeignClients(t *testing.T) {
	address := serve(t, newDiskSite(t))
	var targets []*nfs.Target
	for range 4 {
		targets = append(targets, dial(t, address))
	}
	var wg sync.WaitGroup
	for i, v := range targets {
		wg.Go(func() {
			for n := range 3 {
				path := fmt.Sprintf("/f%d-%d", i, n)
				copyThrough(t, v, path, pattern(700_000+i))
				if err := v.Remove(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func init() { nfsrpc.DefaultReadTimeout = time.Minute }
