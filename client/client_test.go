package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"causeway"
	"causeway/client"
	"causeway/redirect"
)

var background = context.Background()

func TestNames(t *testing.T) {
	w := newWorld(t, 1, nil)
	v := w.volume(w.dial(client.Config{}))
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%v, not %v", err, want)
		}
	}
	ok(v.Mkdir(background, "dir", 0o755))
	is(v.Mkdir(background, "dir", 0o755), fs.ErrExist)
	ok(v.WriteFile(background, "dir/file", []byte("hello"), 0o644))
	ok(v.Symlink(background, "dir/file", "link"))
	ok(v.Symlink(background, "../../dir", "dir/up"))
	ok(v.Symlink(background, "loop", "loop"))
	for _, name := range []string{"dir/file", "link", "/dir/up/up/file", "dir/../link", "../../dir/file"} {
		got, err := v.ReadFile(background, name)
		if err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	_, err := v.Stat(background, "loop")
	is(err, causeway.ErrLoop)
	_, err = v.Stat(background, "dir/file/x")
	is(err, causeway.ErrNotDir)
	_, err = v.Open(background, "none")
	is(err, fs.ErrNotExist)
	_, err = v.OpenFile(background, "link", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	is(err, fs.ErrExist)
	_, err = v.OpenFile(background, "dir", os.O_RDWR, 0)
	is(err, causeway.ErrIsDir)
	if i, err := v.Lstat(background, "link"); err != nil || i.Mode().Type() != fs.ModeSymlink {
		t.Error(i, err)
	}
	if target, err := v.Readlink(background, "link"); err != nil || target != "dir/file" {
		t.Error(target, err)
	}
	ok(v.Link(background, "dir/file", "second"))
	ok(v.Rename(background, "second", "dir/third"))
	ok(v.Chmod(background, "dir/third", 0o600))
	ok(v.Truncate(background, "dir/third", 2))
	ok(v.Chtimes(background, "dir/third", time.Unix(5, 0), time.Unix(7, 9)))
	i, err := v.Stat(background, "dir/file")
	if err != nil || i.Size() != 2 || i.Mode() != 0o600 || !i.ModTime().Equal(time.Unix(7, 9)) {
		t.Error(i, err)
	}
	is(v.Remove(background, "dir"), fs.ErrExist)
	ok(v.Remove(background, "dir/third"))
	list, err := v.ReadDir(background, "dir")
	if err != nil || len(list) != 2 || list[0].Name() != "file" || list[1].Name() != "up" {
		t.Error(list, err)
	}
	if u, err := v.Usage(background); err != nil || u.Total == 0 {
		t.Error(u, err)
	}
}

func TestFS(t *testing.T) {
	w := newWorld(t, 1, nil)
	v := w.volume(w.dial(client.Config{}))
	var names []string
	for d := range 3 {
		dir := fmt.Sprint("d", d)
		if err := v.Mkdir(background, dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 4 {
			name := path.Join(dir, fmt.Sprint("f", f))
			names = append(names, name)
			if err := v.WriteFile(background, name, bytes.Repeat([]byte{'x'}, 1000*f), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := fstest.TestFS(v.FS(background), names...); err != nil {
		t.Error(err)
	}
}

// TestRights: the export rule decides who the client is, whatever it claims.
func TestRights(t *testing.T) {
	w := newWorld(t, 1, func(v *causeway.Volume) {
		v.Exports = []causeway.ExportRule{
			{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Squash: causeway.RootSquash, AnonUID: 4321, AnonGID: 4321},
		}
	})
	root := uint32(0)
	v := w.volume(w.dial(client.Config{UID: &root, GID: &root}))
	if err := v.WriteFile(background, "mine", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine := w.volume(w.dial(client.Config{UID: ptr(4321), GID: ptr(4321)}))
	if err := mine.WriteFile(background, "mine", []byte("y"), 0o600); err != nil {
		t.Error("root was not squashed to the rule's user:", err)
	}
	other := w.volume(w.dial(client.Config{}))
	if _, err := other.ReadFile(background, "mine"); !errors.Is(err, fs.ErrPermission) {
		t.Error("somebody else's file:", err)
	}
	if _, err := w.dial(client.Config{}).Volume(background, "none"); !errors.Is(err, fs.ErrPermission) {
		t.Error("a volume that is not there:", err)
	}

	for name, rule := range map[string]causeway.ExportRule{
		"other network": {Prefix: netip.MustParsePrefix("10.0.0.0/8")},
		"secure port":   {Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secure: true},
	} {
		w := newWorld(t, 1, func(v *causeway.Volume) { v.Exports = []causeway.ExportRule{rule} })
		if _, err := w.dial(client.Config{}).Volume(background, "v"); !errors.Is(err, causeway.ErrAccess) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w = newWorld(t, 1, func(v *causeway.Volume) {
		v.Exports = []causeway.ExportRule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), ReadOnly: true}}
	})
	v = w.volume(w.dial(client.Config{}))
	if err := v.Mkdir(background, "d", 0o755); !errors.Is(err, causeway.ErrROFS) || !v.ReadOnly() {
		t.Error(err, v.ReadOnly())
	}
}

func ptr(n uint32) *uint32 { return &n }

// TestData compares a file that is written and read at random places with a slice of bytes.
func TestData(t *testing.T) {
	for _, gateways := range []int{1, 3} {
		w := newWorld(t, gateways, nil)
		v := w.volume(w.dial(client.Config{StripeUnit: 4096, MaxUnsynced: 100_000}))
		f, err := v.Create(background, "f")
		if err != nil {
			t.Fatal(err)
		}
		random, want := rand.New(rand.NewPCG(1, uint64(gateways))), []byte{}
		for step := range 300 {
			at, n := random.IntN(60_000), 1+random.IntN(30_000)
			if step%2 == 0 {
				data := make([]byte, n)
				for i := range data {
					data[i] = byte(random.Uint32())
				}
				if _, err := f.WriteAt(data, int64(at)); err != nil {
					t.Fatal(err)
				}
				want = append(want, make([]byte, max(0, at+n-len(want)))...)
				copy(want[at:], data)
				if step%20 == 0 {
					for _, at := range w.where { // the next sync finds another verifier
						w.lose(at)
					}
					if err := f.Sync(); err != nil {
						t.Fatal(err)
					}
				}
				continue
			}
			got := make([]byte, n)
			n, err := f.ReadAt(got, int64(at))
			end := min(at+len(got), max(at, len(want)))
			if n != end-at || (err != nil) != (n < len(got)) || !bytes.Equal(got[:n], want[min(at, len(want)):min(end, len(want))]) {
				t.Fatalf("step %d: read %d at %d of %d: %d, %v", step, len(got), at, len(want), n, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := v.ReadFile(background, "f"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	}
}

// TestFailOver: clients work while gateways die and come back under them. No error surfaces, each change is made once, and what was written
// is there although the gateways lose what was not synced.
func TestFailOver(t *testing.T) {
	w := newWorld(t, 3, nil)
	stop, rounds := make(chan struct{}), atomic.Int64{}
	var users sync.WaitGroup
	for u := range 8 {
		v := w.volume(w.dial(client.Config{Suspect: 100 * time.Millisecond}, w.where[u%3]))
		users.Go(func() {
			dir := fmt.Sprint("user", u)
			if err := v.Mkdir(background, dir, 0o755); err != nil {
				t.Error(err)
			}
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				name, text := path.Join(dir, fmt.Sprint("f", round)), fmt.Sprint(u, " wrote ", round)
				if err := user(v, name, text); err != nil {
					t.Errorf("user %d, round %d: %v", u, round, err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	for i := range 12 {
		before := rounds.Load()
		at := w.where[i%3]
		w.kill(at)
		w.lose(at)
		w.until("clients go on", func() bool { return t.Failed() || rounds.Load() > before+40 })
		w.revive(at)
	}
	close(stop)
	users.Wait()
	t.Log(rounds.Load(), "rounds")
}

// TestReadAfterLoss: a gateway dies with what was written and not synced; whoever reads the file next reads what was written.
func TestReadAfterLoss(t *testing.T) {
	for name, die := range map[string]func(w *world, c *client.Client){
		"and the client learns of it by that call": func(w *world, _ *client.Client) {
			w.kill(w.where[0])
			w.lose(w.where[0])
		},
		"and another one has its address": func(w *world, _ *client.Client) {
			w.kill(w.where[0])
			w.lose(w.where[0])
			w.revive(w.where[0])
			w.until("its other connection is new", func() bool { return w.fronts[w.where[0]].gate.open() > 0 })
		},
		"after the client has gone": func(w *world, c *client.Client) {
			at := w.fronts[w.where[0]].server
			w.until("the client has gone", func() bool {
				for _, u := range at.Clients() {
					at.Redirect(u.Client, "v", w.where[1], "")
				}
				return c.Paths("v")[0].Gateway == w.where[1]
			})
			w.kill(w.where[0])
			w.lose(w.where[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2, nil)
			c := w.dial(client.Config{Suspect: 100 * time.Millisecond})
			f, err := w.volume(c).Create(background, "f")
			if err != nil {
				t.Fatal(err)
			}
			const text = "hello"
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			die(w, c)
			got := make([]byte, len(text))
			if _, err := f.ReadAt(got, 0); err != nil || string(got) != text {
				t.Errorf("%q, %v", got, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// user makes changes that cannot be made twice, and reads what was written.
func user(v *client.Volume, name, text string) error {
	f, err := v.OpenFile(background, name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(text)); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := f.ReadAt(got, 0); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("reads %q before it is stable, not %q", got, text)
	}
	if err := errors.Join(f.Close(), v.Rename(background, name, name+"-done")); err != nil {
		return err
	}
	again, err := v.ReadFile(background, name+"-done")
	if err == nil && string(again) != text {
		err = fmt.Errorf("reads %q, not %q", again, text)
	}
	return errors.Join(err, v.Remove(background, name+"-done"))
}

// TestRedirect: a client goes where it is told, and where it was sent the longest time ago if it is told no place.
func TestRedirect(t *testing.T) {
	w := newWorld(t, 3, nil)
	c := w.dial(client.Config{})
	v := w.volume(c)
	at := func() string { return c.Paths("v")[0].Gateway }
	first := at()
	if first != w.where[0] {
		t.Fatal("it begins at", first)
	}
	name := func(where string) string {
		w.until("the gateway knows the client", func() bool {
			if _, err := v.Stat(background, "."); err != nil {
				t.Fatal(err)
			}
			l := w.fronts[where].server.Clients()
			return len(l) == 1 && l[0].Watches && l[0].Volume == "v"
		})
		return w.fronts[where].server.Clients()[0].Client
	}
	if !w.fronts[first].server.Redirect(name(first), "v", w.where[2], "") {
		t.Fatal("there is no such client")
	}
	w.until("it is at the third gateway", func() bool { return at() == w.where[2] })
	w.until("the first one forgets it", func() bool { return len(w.fronts[first].server.Clients()) == 0 })
	if !w.fronts[w.where[2]].server.Redirect(name(w.where[2]), "v", "", "") {
		t.Fatal("there is no such client")
	}
	w.until("it is at the second gateway, where it never was", func() bool { return at() == w.where[1] })
	if w.fronts[first].server.Redirect("127.0.0.1/00000000", "v", "", "") {
		t.Error("a client that does not exist was told")
	}

	w.mu.Lock()
	w.list[1].Draining = true
	w.mu.Unlock()
	w.until("it leaves a gateway that drains", func() bool { return at() != w.where[1] })
}

// TestPatience: without any gateway a call fails in time, and says so.
func TestPatience(t *testing.T) {
	w := newWorld(t, 2, nil)
	v := w.volume(w.dial(client.Config{Patience: 300 * time.Millisecond, Suspect: 50 * time.Millisecond}))
	for _, at := range w.where {
		w.kill(at)
	}
	if _, err := v.Stat(background, "."); !errors.Is(err, causeway.ErrDelay) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := v.Stat(ctx, "."); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, at := range w.where {
		w.revive(at)
	}
	w.until("it answers again", func() bool { _, err := v.Stat(background, "."); return err == nil })
}

// TestHeldUp: clients stay with a gateway whose process is held up for longer than it may be silent, while its machine takes in what they send.
func TestHeldUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what the other machine has taken in is not known")
	}
	w := newWorld(t, 2, nil)
	c := w.dial(client.Config{Suspect: 200 * time.Millisecond})
	v := w.volume(c)
	if _, err := v.Stat(background, "."); err != nil {
		t.Fatal(err)
	}
	gate := w.fronts[w.where[0]].gate
	gate.stall.Lock()
	time.AfterFunc(900*time.Millisecond, gate.stall.Unlock)
	if _, err := v.Stat(background, "."); err != nil {
		t.Error(err)
	}
	for _, p := range c.Paths("v") {
		if p.State != redirect.Valid {
			t.Errorf("%+v", p)
		}
	}
	if at := c.Paths("v")[0].Gateway; at != w.where[0] {
		t.Error("the client is at", at)
	}
}
