package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/client"
	"causeway/gateway"
)

// opened opens a file that is there already, by a client of its own.
func (w *world) opened(name string, at ...string) *client.File {
	w.t.Helper()
	f, err := w.volume(w.dial(client.Config{}, at...)).OpenFile(context.Background(), name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// locked fails unless the error says that somebody else has the lock.
func locked(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, causeway.ErrLocked) {
		t.Errorf("%v", err)
	}
}

func fine(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestLocks(t *testing.T) {
	w, ctx := newWorld(t, 2, nil), context.Background()
	a, b := w.opened("file", w.where[0]), w.opened("file", w.where[1])
	fine(t, a.Lock(ctx, 0, 10), a.RLock(ctx, 20, 10), b.TryLock(ctx, 10, 10), b.TryRLock(ctx, 20, 5))
	locked(t, b.TryRLock(ctx, 9, 1))
	locked(t, b.TryLock(ctx, 29, 0))
	locked(t, a.TryLock(ctx, 22, 1))
	fine(t, a.RLock(ctx, 0, 5)) // takes half of it down
	fine(t, b.TryRLock(ctx, 0, 5))
	locked(t, b.TryRLock(ctx, 5, 5))

	got := make(chan error)
	go func() { got <- b.Lock(ctx, 5, 5) }()
	select {
	case err := <-got:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	fine(t, a.Unlock(ctx, 0, 10), <-got)
	locked(t, a.TryLock(ctx, 5, 1))
	fine(t, b.Close())
	fine(t, a.TryLock(ctx, 0, 0))
	if err := a.Lock(ctx, -1, 1); !errors.Is(err, causeway.ErrInval) {
		t.Error(err)
	}
}

// TestLockContext: who does not want to wait any longer has no lock, and keeps what he had.
func TestLockContext(t *testing.T) {
	w, ctx := newWorld(t, 1, nil), context.Background()
	a, b, c := w.opened("file"), w.opened("file"), w.opened("file")
	fine(t, a.Lock(ctx, 0, 10), b.Lock(ctx, 20, 10))
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := b.Lock(short, 5, 20); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	fine(t, a.Unlock(ctx, 0, 10))
	w.until("the bytes are free that nobody waits for", func() bool { return c.TryLock(ctx, 5, 10) == nil })
	locked(t, c.TryLock(ctx, 20, 10))
}

// TestLockAfterContext: what is locked after a wait was given up stays locked.
func TestLockAfterContext(t *testing.T) {
	w, ctx := newWorld(t, 1, nil), context.Background()
	a, b, c := w.opened("file"), w.opened("file"), w.opened("file")
	for range 20 {
		fine(t, a.Lock(ctx, 0, 10))
		short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		if err := b.Lock(short, 0, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
		fine(t, a.Unlock(ctx, 0, 10), b.Lock(ctx, 0, 10))
		locked(t, c.TryLock(ctx, 0, 10))
		fine(t, b.Unlock(ctx, 0, 10))
	}
}

// TestLocksMove: a gateway dies, and locks that were taken through it are held at another one.
func TestLocksMove(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 2, nil), context.Background()
	a := w.opened("file", w.where[0], w.where[1])
	fine(t, a.Lock(ctx, 0, 10))
	b := w.opened("file", w.where[1])
	w.end(w.where[0])
	for begun := time.Now(); time.Since(begun) < 2*lease; time.Sleep(lease / 8) {
		locked(t, b.TryLock(ctx, 0, 1))
	}
	if _, err := a.WriteAt([]byte("mine"), 0); err != nil {
		t.Error(err)
	}
	fine(t, a.Close(), b.TryLock(ctx, 0, 1))
}

// TestLockLease: what a client had locked that died is free after the lease, and one that could not renew is told.
func TestLockLease(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 1, nil), context.Background()
	line := &cutLine{}
	f, err := w.volume(w.dial(client.Config{Dial: line.dial})).Create(ctx, "file")
	if err != nil {
		t.Fatal(err)
	}
	fine(t, f.Lock(ctx, 0, 10))
	b := w.opened("file")
	for begun := time.Now(); time.Since(begun) < 2*lease; time.Sleep(lease / 8) {
		locked(t, b.TryLock(ctx, 0, 10)) // while it renews
	}
	line.cut(true)
	fine(t, b.Lock(ctx, 0, 10))
	line.cut(false)
	w.until("who lost a lock is told", func() bool {
		_, err := f.WriteAt([]byte("mine"), 0)
		return errors.Is(err, causeway.ErrLocked)
	})
}

// TestLockPartition: a gateway lives that its client cannot reach, which works through another one. The lease ends at the first, and what the client
// has locked stays locked.
func TestLockPartition(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 2, nil), context.Background()
	line := &cutLine{only: w.where[0]}
	c := w.dial(client.Config{Dial: line.dial, Suspect: 50 * time.Millisecond}, w.where[0], w.where[1])
	f, err := w.volume(c).Create(ctx, "file")
	if err != nil {
		t.Fatal(err)
	}
	fine(t, f.Lock(ctx, 0, 10), f.RLock(ctx, 20, 10))
	b := w.opened("file")
	line.cut(true)
	w.until("the client works through the other gateway", func() bool {
		_, err := f.WriteAt([]byte("mine"), 0)
		fine(t, err)
		return c.Paths("v")[0].Gateway == w.where[1]
	})
	for begun := time.Now(); time.Since(begun) < 2*lease; time.Sleep(lease / 32) {
		locked(t, b.TryLock(ctx, 9, 1))
		locked(t, b.TryLock(ctx, 25, 1))
	}
	_, err = f.WriteAt([]byte("mine"), 0)
	fine(t, err, c.Close())
	fine(t, b.Lock(ctx, 0, 0)) // a client that is gone everywhere
}

// cutLine is a client's network.
type cutLine struct {
	only string // the address that cannot be reached; "": none can

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func (l *cutLine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.only != "" && l.only != address {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if l.down {
		return nil, errors.New("the line is cut")
	}
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		l.conns = append(l.conns, c)
	}
	return c, err
}

func (l *cutLine) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// TestLocksOfNFS: locks of aware clients and of NFS clients are in one another's way.
func TestLocksOfNFS(t *testing.T) {
	w, ctx := newWorld(t, 1, nil), context.Background()
	f := w.opened("file")
	mount := &gateway.Caller{Cred: causeway.Cred{UID: 1000, GID: 1000}, Owner: causeway.Owner{Kind: causeway.OwnerNLM, Client: "mount@127.0.0.9", Opaque: "1234"}}
	root, err := w.access.Root(ctx, mount, 7)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := w.access.Lookup(ctx, mount, root.Handle, "file")
	if err != nil {
		t.Fatal(err)
	}
	spec := gateway.LockSpec{Span: causeway.Span{Offset: 5, Length: 10}, Exclusive: true}
	fine(t, f.Lock(ctx, 0, 10))
	_, err = w.access.Lock(ctx, mount, e.Handle, spec)
	locked(t, err)
	fine(t, f.Unlock(ctx, 0, 10))
	_, err = w.access.Lock(ctx, mount, e.Handle, spec)
	fine(t, err)
	locked(t, f.TryRLock(ctx, 0, 6))
	got := make(chan error)
	go func() { got <- f.Lock(ctx, 0, 6) }()
	fine(t, w.access.Unlock(ctx, mount, e.Handle, spec.Span), <-got)
}

// TestAppend: what several clients append at once is all there, each in one piece.
func TestAppend(t *testing.T) {
	w, ctx := newWorld(t, 3, nil), context.Background()
	const clients, each = 6, 20
	var all sync.WaitGroup
	for i := range clients {
		v := w.volume(w.dial(client.Config{}, w.where[i%3]))
		all.Go(func() {
			f, err := v.OpenFile(ctx, "log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
			if err != nil {
				t.Error(err)
				return
			}
			for n := range each {
				if _, err := fmt.Fprintf(f, "client %d line %d %s\n", i, n, strings.Repeat("x", 100*i)); err != nil {
					t.Error(err)
				}
			}
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				t.Error("it writes elsewhere than at the end")
			}
			fine(t, f.Close())
		})
	}
	all.Wait()
	got, err := w.volume(w.dial(client.Config{})).ReadFile(ctx, "log")
	if err != nil {
		t.Fatal(err)
	}
	for i := range clients {
		at := 0
		for n := range each {
			line := fmt.Appendf(nil, "client %d line %d %s\n", i, n, strings.Repeat("x", 100*i))
			found := bytes.Index(got[at:], line)
			if found < 0 {
				t.Fatalf("line %d of client %d is not there, or not in order", n, i)
			}
			at += found
		}
	}
	if lines := bytes.Count(got, []byte("\n")); lines != clients*each {
		t.Errorf("%d lines", lines)
	}
}

// TestAppendUnderLock: nobody appends while somebody else has locked all of the file, by way of NFS too, and who appends under a lock of its own keeps that.
func TestAppendUnderLock(t *testing.T) {
	w, ctx := newWorld(t, 1, nil), context.Background()
	open := func() *client.File {
		f, err := w.volume(w.dial(client.Config{})).OpenFile(ctx, "log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b := open(), open()
	mount := &gateway.Caller{Cred: causeway.Cred{UID: 1000, GID: 1000}, Owner: causeway.Owner{Kind: causeway.OwnerNLM, Client: "mount@127.0.0.9", Opaque: "1234"}}
	root, err := w.access.Root(ctx, mount, 7)
	fine(t, err)
	e, _, err := w.access.Lookup(ctx, mount, root.Handle, "log")
	fine(t, err)
	all := gateway.LockSpec{Span: causeway.Span{Length: causeway.ToEOF}, Exclusive: true}

	for _, lock := range []struct {
		take, end func() error
		by        *client.File // who has it
	}{
		{func() error { return a.Lock(ctx, 0, 0) }, func() error { return a.Unlock(ctx, 0, 0) }, a},
		{func() error { return a.RLock(ctx, 0, 0) }, func() error { return a.Unlock(ctx, 0, 0) }, a},
		{func() error { _, err := w.access.Lock(ctx, mount, e.Handle, all); return err }, func() error { return w.access.Unlock(ctx, mount, e.Handle, all.Span) }, nil},
	} {
		fine(t, lock.take())
		wrote := make(chan error, 1)
		go func() { _, err := b.Write([]byte("b")); wrote <- err }()
		for range 3 {
			if lock.by != nil {
				if _, err := lock.by.Write([]byte("a")); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-wrote:
				t.Fatal("it appends beside a lock of somebody else's: ", err)
			case <-time.After(50 * time.Millisecond):
			}
		}
		fine(t, lock.end(), <-wrote)
	}
	got, err := w.volume(w.dial(client.Config{})).ReadFile(ctx, "log")
	if err != nil || string(got) != "aaabaaabb" {
		t.Errorf("%q, %v", got, err)
	}
	fine(t, a.Close(), b.Close())
}
