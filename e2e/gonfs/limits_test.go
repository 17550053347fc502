package gonfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
)

// lacks runs a requirement that go-nfs does not meet today, and fails when it does.
func lacks(t *testing.T, need string, requirement func() error) {
	t.Helper()
	err := requirement()
	if err == nil {
		t.Fatalf("go-nfs now meets this: %s. Look at docs/adr/0004-our-own-server.md again.", need)
	}
	t.Logf("needed: %s; found: %v", need, err)
}

// serve serves a file system by go-nfs and returns its address.
func serve(t *testing.T, fs billy.Filesystem, handles int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	nfs.Log.SetLevel(nfs.PanicLevel)
	go nfs.Serve(l, helpers.NewCachingHandler(helpers.NewNullAuthHandler(fs), handles))
	return l.Addr().String()
}

func dial(t *testing.T, addr string, uid uint32) *nfs3.Client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := nfs3.NewClient(conn, nfs3.Sys(uid, uid))
	t.Cleanup(func() { c.Close() })
	return c
}

func mountRoot(t *testing.T, c *nfs3.Client) []byte {
	t.Helper()
	root, err := c.Mount("/")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// tracked is a directory whose files tell what is done to them.
type tracked struct {
	billy.Filesystem
	mu    sync.Mutex
	stall chan struct{} // ReadAt of "slow" waits for it
	syncs int
}

type trackedFile struct {
	billy.File
	fs *tracked
}

func (t *tracked) Open(name string) (billy.File, error) { return t.OpenFile(name, os.O_RDONLY, 0) }

func (t *tracked) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	f, err := t.Filesystem.OpenFile(name, flag, perm)
	return &trackedFile{f, t}, err
}

func (f *trackedFile) ReadAt(p []byte, off int64) (int, error) {
	if filepath.Base(f.Name()) == "slow" {
		<-f.fs.stall
	}
	return f.File.ReadAt(p, off)
}

// Sync is what a server would call if it looked for it, as it may with os.File's method of this name.
func (f *trackedFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.syncs++
	return nil
}

func directory(t *testing.T, files ...string) (*tracked, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &tracked{Filesystem: osfs.New(dir), stall: make(chan struct{})}, dir
}

func read(c *nfs3.Client, handle []byte) ([]byte, error) {
	r, err := c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Read, func(a *nfs3.Record) {
		a.Opaque(handle)
		a.Uint64(0)
		a.Uint32(4096)
	})
	if err != nil {
		return nil, err
	}
	if status := nfs3.Status(r.Uint32()); status != nfs3.OK {
		return nil, status
	}
	if r.Uint32() == 1 {
		r.Skip(84)
	}
	r.Skip(8)
	return bytes.Clone(r.Opaque()), r.Err
}

func TestOneSlowReadDoesNotStopTheConnection(t *testing.T) {
	fs, _ := directory(t, "slow", "quick")
	addr := serve(t, fs, 100)
	c := dial(t, addr, 0)
	root := mountRoot(t, c)
	slow, err := c.Lookup(root, "slow")
	if err != nil {
		t.Fatal(err)
	}
	defer close(fs.stall)
	lacks(t, "calls of one connection are worked on at the same time", func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		first := nfs3.NewCall(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Read, nfs3.Sys(0, 0))
		first.Opaque(slow)
		first.Uint64(0)
		first.Uint32(10)
		second := nfs3.NewCall(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Null, nfs3.Sys(0, 0))
		second.SetXID(2)
		if _, err := conn.Write(append(first.Seal(0), second.Seal(0)...)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err = io.ReadFull(conn, make([]byte, 4))
		return err
	})
}

func TestRightsOfTheCaller(t *testing.T) {
	fs, dir := directory(t, "secret")
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, serve(t, fs, 100), 4711)
	root := mountRoot(t, c)
	lacks(t, "uid 4711 cannot read a file of mode 0600 of another user", func() error {
		h, err := c.Lookup(root, "secret")
		if err != nil {
			return nil
		}
		data, err := read(c, h)
		if err != nil {
			return nil
		}
		return fmt.Errorf("it read %q", data)
	})
}

func TestStableWritesAreSynced(t *testing.T) {
	fs, _ := directory(t, "file")
	c := dial(t, serve(t, fs, 100), 0)
	h, err := c.Lookup(mountRoot(t, c), "file")
	if err != nil {
		t.Fatal(err)
	}
	lacks(t, "a FILE_SYNC write and a COMMIT sync the file", func() error {
		r, err := c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Write, func(a *nfs3.Record) {
			a.Opaque(h)
			a.Uint64(0)
			a.Uint32(4)
			a.Uint32(nfs3.FileSync)
			a.Opaque([]byte("data"))
		})
		if err != nil || r.Uint32() != 0 {
			t.Fatal("write: ", err)
		}
		r, err = c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Commit, func(a *nfs3.Record) {
			a.Opaque(h)
			a.Uint64(0)
			a.Uint32(0)
		})
		if err != nil || r.Uint32() != 0 {
			t.Fatal("commit: ", err)
		}
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if fs.syncs == 0 {
			return errors.New("both were answered, nothing was synced")
		}
		return nil
	})
}

func TestHandlesOutliveTheProcess(t *testing.T) {
	fs, _ := directory(t, "file")
	before := dial(t, serve(t, fs, 100), 0)
	h, err := before.Lookup(mountRoot(t, before), "file")
	if err != nil {
		t.Fatal(err)
	}
	lacks(t, "a handle is good at another server of the same directory", func() error {
		_, err := dial(t, serve(t, fs, 100), 0).GetAttr(h)
		return err
	})
}

func TestHandlesOutliveManyOthers(t *testing.T) {
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprint("file", i))
	}
	fs, _ := directory(t, names...)
	c := dial(t, serve(t, fs, 20), 0)
	root := mountRoot(t, c)
	h, err := c.Lookup(root, "file0")
	if err != nil {
		t.Fatal(err)
	}
	lacks(t, "a handle stays good however many others are given out", func() error {
		for _, name := range names[1:] {
			if _, err := c.Lookup(root, name); err != nil {
				break
			}
		}
		_, err := c.GetAttr(h)
		return err
	})
}

func TestHandlesSurviveARename(t *testing.T) {
	fs, dir := directory(t, "old")
	c := dial(t, serve(t, fs, 100), 0)
	h, err := c.Lookup(mountRoot(t, c), "old")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	lacks(t, "a handle names the object, not the path", func() error {
		_, err := c.GetAttr(h)
		return err
	})
}

func TestRecordsOfSeveralFragments(t *testing.T) {
	fs, _ := directory(t)
	addr := serve(t, fs, 100)
	lacks(t, "a record may come in several fragments (RFC 5531 §11)", func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		call := nfs3.NewCall(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Null, nfs3.Sys(0, 0))[4:]
		var wire []byte
		for i, part := range [][]byte{call[:20], call[20:]} {
			wire = binary.BigEndian.AppendUint32(wire, uint32(i)<<31|uint32(len(part)))
			wire = append(wire, part...)
		}
		if _, err := conn.Write(wire); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err = io.ReadFull(conn, make([]byte, 4))
		return err
	})
}

func TestByteRangeLocks(t *testing.T) {
	fs, _ := directory(t)
	c := dial(t, serve(t, fs, 100), 0)
	lacks(t, "the lock manager's program answers (NLM version 4)", func() error {
		_, err := c.Call(100021, 4, 0, nil)
		return err
	})
}

// TestPeerWorks: the suite above would also pass with a server that does nothing.
func TestPeerWorks(t *testing.T) {
	fs, _ := directory(t, "file")
	c := dial(t, serve(t, fs, 100), 0)
	h, err := c.Lookup(mountRoot(t, c), "file")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := read(c, h); err != nil || string(data) != "content of file" {
		t.Fatalf("read %q, %v", data, err)
	}
}
