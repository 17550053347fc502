package gonfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"causeway"
	"causeway/backend/posix"
	"causeway/e2e/bench/nfs3"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/billy"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/gateway/transfer"

	"golang.org/x/sys/unix"
)

const (
	procRmdir  = 13
	procRename = 14
)

// TestSameTree does the same random operations in three ways: directly on a directory, through our server on another one, and
// through go-nfs on a third one that is a volume of ours offered as a billy file system. The three trees must be the same,
// and our server must refuse what the kernel refuses.
func TestSameTree(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			direct := t.TempDir()
			oursDir, ours := ourServer(t)
			peerDir, peer := ourVolumeByPeer(t)
			random := rand.New(rand.NewPCG(seed, 7))
			for n := range 400 {
				op := randomOp(random)
				want := op.direct(direct)
				got := op.over(ours)
				if (want == nil) != (got == nil) {
					t.Fatalf("operation %d, %+v: directly %v, through our server %v", n, op, want, got)
				}
				if want != nil {
					continue
				}
				if err := op.over(peer); err != nil {
					t.Fatalf("operation %d, %+v: through go-nfs %v", n, op, err)
				}
			}
			want := tree(t, direct)
			for name, dir := range map[string]string{"our server": oursDir, "go-nfs on our volume": peerDir} {
				if got := tree(t, dir); got != want {
					t.Errorf("%s left\n%s\nwant\n%s", name, got, want)
				}
			}
		})
	}
}

// engines makes a directory a volume.
func engines(t *testing.T) (dir string, v *causeway.Volume, a *access.Engine, tr *transfer.Engine) {
	t.Helper()
	dir = t.TempDir()
	store, err := posix.Open(t.Context(), dir, posix.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a = access.New(access.Config{})
	tr = transfer.New(transfer.Config{Grants: a})
	v = &causeway.Volume{ID: store.VolumeID(), Name: "v", Keys: []causeway.HandleKey{{ID: 1}},
		Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Squash: causeway.NoRootSquash}}}
	a.Attach(v, store)
	tr.Attach(v.ID, store)
	t.Cleanup(func() { tr.Close(); store.Close() })
	return dir, v, a, tr
}

func ourServer(t *testing.T) (string, *nfs3.Client) {
	dir, v, a, tr := engines(t)
	catalog := &gateway.Catalog{}
	if err := catalog.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	guard := &export.Guard{Catalog: catalog}
	server, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	nfs, err := v3.New(v3.Config{Guard: guard, Access: a, Transfer: tr, Persist: a})
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := mount.New(mount.Config{Guard: guard, Access: a})
	if err != nil {
		t.Fatal(err)
	}
	server.Register(v3.Program, v3.Version, nfs)
	server.Register(mount.Program, mount.Version3, mounts)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Shutdown(t.Context()) })
	return dir, dial(t, l.Addr().String(), uint32(os.Geteuid()))
}

func ourVolumeByPeer(t *testing.T) (string, *nfs3.Client) {
	dir, v, a, tr := engines(t)
	caller := gateway.Caller{Cred: causeway.Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}}
	return dir, dial(t, serve(t, billy.New(t.Context(), a, tr, v.ID, caller), 1000), uint32(os.Geteuid()))
}

// op is an operation on one or two paths.
type op struct {
	Kind     string
	Path, To string
	Offset   uint64
	Data     []byte
}

func randomOp(r *rand.Rand) op {
	name := func() string {
		parts := []string{}
		for range 1 + r.IntN(3) {
			parts = append(parts, string(rune('a'+r.IntN(4))))
		}
		return path.Join(parts...)
	}
	o := op{Kind: []string{"mkdir", "create", "write", "write", "remove", "rmdir", "rename"}[r.IntN(7)], Path: name(), To: name()}
	if o.Kind == "write" {
		o.Offset, o.Data = r.Uint64N(9000), bytes.Repeat([]byte{byte('A' + r.IntN(26))}, 1+r.IntN(5000))
	}
	return o
}

func (o *op) direct(dir string) error {
	name := filepath.Join(dir, o.Path)
	info, err := os.Lstat(name)
	switch o.Kind {
	case "mkdir":
		return os.Mkdir(name, 0o755)
	case "create":
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		return errors.Join(err, f.Close())
	case "rename":
		return unix.Rename(name, filepath.Join(dir, o.To)) // os.Rename has rules of its own
	}
	if err != nil {
		return err
	}
	switch {
	case o.Kind == "rmdir" != info.IsDir():
		return fs.ErrInvalid
	case o.Kind != "write":
		return os.Remove(name)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(o.Data, int64(o.Offset))
	return errors.Join(err, f.Close())
}

// over does the operation through a server, by handles that are looked up anew each time.
func (o *op) over(c *nfs3.Client) error {
	root, err := c.Mount("/")
	if err != nil {
		return err
	}
	walk := func(name string) (h []byte, err error) {
		h = root
		for _, part := range strings.Split(path.Clean("/" + name)[1:], "/") {
			if part != "" && err == nil {
				h, err = c.Lookup(h, part)
			}
		}
		return h, err
	}
	dir, err := walk(path.Dir(o.Path))
	if err != nil {
		return err
	}
	at := func(a *nfs3.Record) { a.Opaque(dir); a.Opaque([]byte(path.Base(o.Path))) }
	call := func(proc uint32, args func(*nfs3.Record)) error {
		r, err := c.Call(nfs3.ProgNFS, nfs3.VersNFS, proc, args)
		if err != nil {
			return err
		}
		if st := nfs3.Status(r.Uint32()); st != nfs3.OK {
			return st
		}
		return nil
	}
	switch o.Kind {
	case "mkdir":
		return call(nfs3.MkDir, func(a *nfs3.Record) { at(a); a.SetAttrs(0o755) })
	case "create":
		return call(nfs3.Create, func(a *nfs3.Record) { at(a); a.Uint32(1); a.SetAttrs(0o644) })
	case "remove":
		return call(nfs3.Remove, at)
	case "rmdir":
		return call(procRmdir, at)
	case "rename":
		to, err := walk(path.Dir(o.To))
		if err != nil {
			return err
		}
		return call(procRename, func(a *nfs3.Record) { at(a); a.Opaque(to); a.Opaque([]byte(path.Base(o.To))) })
	}
	file, err := walk(o.Path)
	if err != nil {
		return err
	}
	return call(nfs3.Write, func(a *nfs3.Record) {
		a.Opaque(file)
		a.Uint64(o.Offset)
		a.Uint32(uint32(len(o.Data)))
		a.Uint32(nfs3.FileSync)
		a.Opaque(o.Data)
	})
}

// tree describes what stands below dir, without the marker of a volume.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		switch {
		case err != nil:
			return err
		case rel == ".causeway":
			return fs.SkipDir
		case d.IsDir():
			fmt.Fprintf(&b, "%s/\n", rel)
			return nil
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&b, "%s %d %x\n", rel, len(data), bytes.TrimLeft(data, "\x00"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
