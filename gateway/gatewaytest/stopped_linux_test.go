package gatewaytest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks"
	"causeway/backend/blocks/device"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/transfer"
)

// stoppedRole says what a process is that TestStoppedWriterOnBlocks starts: the storage, or the gateway that it stops.
const stoppedRole = "STOPPED_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(stoppedRole) {
	case "storage":
		serveStorage()
	case "gateway":
		serveStopped()
	default:
		os.Exit(m.Run())
	}
}

// TestStoppedWriterOnBlocks is the case of a gateway that is stopped, as a process, for longer than its lease: with writes in its hand
// that its engine has let through, and grants to write. The files are cut and written through another one meanwhile, and their blocks
// given to others. When it goes on, not one byte of these writes reaches the storage, which is another process.
func TestStoppedWriterOnBlocks(t *testing.T) {
	storage := startRole(t, "storage")
	at := storage.line(t)
	lease := time.Second
	open := func(i int) backend.Store {
		s, err := openAt(t.Context(), at, fmt.Sprint("g", i))
		if err == nil && i == 0 {
			err = s.Own(t.Context(), causeway.Epoch{Revision: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	x := split(t, 2, true, lease, open)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, b, ctx, c := startRole(t, "gateway", at, l.Addr().String(), lease.String()), x.gateways[1], t.Context(), gatewaytest.Root()
	x.connect(l)
	fresh := bytes.Repeat([]byte("fresh "), 4000)
	files := make([]causeway.Handle, 8)
	for i := range files {
		files[i] = b.create(fmt.Sprint("f", i))
		a.write(t, files[i], "before")
	}
	a.tell(t, "shut")
	for i, h := range files { // in place, and behind the end
		a.tell(t, "late %x %d stale!", h.Object[:], i*6000)
	}
	for range files {
		if got := a.line(t); got != "at the door" {
			t.Fatal(got)
		}
	}
	a.signal(t, syscall.SIGSTOP)
	for _, h := range files {
		if _, err := b.access.SetAttr(ctx, c, h, &causeway.SetAttr{Mask: causeway.SetSize}, nil); err != nil {
			t.Fatal(err)
		}
	}
	files = append(files, b.create("other")) // gets blocks that were cut off
	for _, h := range files {
		if _, err := b.put(h, 0, fresh, causeway.FileSync); err != nil {
			t.Fatal(err)
		}
	}
	a.tell(t, "open") // found when it goes on, at once
	a.signal(t, syscall.SIGCONT)
	for range len(files) - 1 {
		if got := a.line(t); got != causeway.ErrDelay.Error() {
			t.Error("a late write was answered with", got)
		}
	}
	for _, h := range files {
		for _, m := range x.gateways {
			got := make([]byte, 60000)
			n, err := m.get(h, 0, got)
			if err != nil || !bytes.Equal(got[:n], fresh) {
				t.Errorf("%s reads %d bytes, %v: %.40q", m.name, n, err, got)
			}
		}
	}
	if n := occurrences(t, at, "stale!"); n > 0 {
		t.Errorf("%d blocks of the storage hold stale bytes", n)
	}
	if n := occurrences(t, at, "fresh "); n == 0 {
		t.Error("the storage was not looked at")
	}
	a.write(t, files[0], "again!") // it comes back
}

// occurrences counts the blocks of the storage that hold a text, whosever they are.
func occurrences(t *testing.T, at, text string) (n int) {
	d := device.NewClient(at)
	defer d.Close()
	key, err := d.Register(t.Context(), 42, "reader")
	if err != nil {
		t.Fatal(err)
	}
	size, count, err := d.Geometry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, size)
	for i := range count {
		if err := d.Read(t.Context(), 42, backend.Tag{Epoch: causeway.Epoch{Revision: 1}, Key: key}, i*size, buf); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(buf, []byte(text)) {
			n++
		}
	}
	return n
}

func openAt(ctx context.Context, at, node string) (*blocks.Store, error) {
	return blocks.Open(ctx, blocks.Config{Device: device.NewClient(at), Volume: 42, Node: node, Mode: 0o777, LogBlocks: 256})
}

// role is a process of the test.
type role struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startRole(t *testing.T, name string, args ...string) *role {
	t.Helper()
	r := &role{cmd: exec.Command(os.Args[0], args...)}
	r.cmd.Env, r.cmd.Stderr = append(os.Environ(), stoppedRole+"="+name), os.Stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGCONT)
		_ = in.Close() // it ends by that
		if err := r.cmd.Wait(); err != nil {
			t.Error(name, err)
		}
	})
	return r
}

func (r *role) line(t *testing.T) string {
	t.Helper()
	if !r.out.Scan() {
		t.Fatal("the process has ended: ", r.out.Err())
	}
	return r.out.Text()
}

func (r *role) tell(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(r.in, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
}

// write lets the gateway write; to try later is an answer, for a while.
func (r *role) write(t *testing.T, h causeway.Handle, text string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		r.tell(t, "write %x %d %s", h.Object[:], 0, text)
		switch got := r.line(t); {
		case got == "ok":
			return
		case got != causeway.ErrDelay.Error() || time.Now().After(end):
			t.Fatal(got)
		}
	}
}

func (r *role) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// serveStorage is the storage process.
func serveStorage() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server, done := device.NewServer(device.New(4096, 1<<13)), make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = l.Close()
	server.Close()
	<-done
}

// Calls between the gateway that is stopped and the one that administers the volume, each with what it answers.
type (
	Renewal struct {
		Epoch causeway.Epoch
		Held  []gateway.Held
	}
	Telling struct {
		Epoch  causeway.Epoch
		Held   gateway.Held
		Commit gateway.Commit
	}
	Answer[T any] struct {
		Code causeway.Code
		T    T
	}
)

func (a *Answer[T]) set(x T, err error) error {
	a.T, a.Code = x, causeway.CodeOf(err)
	return nil
}

// Owner is what the one that administers the volume answers.
type Owner struct{ layouts gateway.Layouts }

func (o *Owner) Grant(s gateway.GrantSpec, r *Answer[gateway.GrantReply]) error {
	return r.set(o.layouts.Grant(context.Background(), &s))
}

func (o *Owner) Renew(a Renewal, r *Answer[[]gateway.Held]) error {
	return r.set(o.layouts.Renew(context.Background(), "stopped", a.Epoch, a.Held))
}

func (o *Owner) Commit(a Telling, r *Answer[bool]) error {
	return r.set(true, o.layouts.Commit(context.Background(), "stopped", a.Epoch, a.Held, &a.Commit))
}

func (o *Owner) Return(a Telling, r *Answer[bool]) error {
	return r.set(true, o.layouts.Return(context.Background(), "stopped", a.Epoch, a.Held, &a.Commit))
}

// Holder is what the one that is stopped answers.
type Holder struct{ engine *transfer.Engine }

func (h *Holder) Recall(r gateway.Recall, a *Answer[gateway.Commit]) error {
	return a.set(h.engine.Recall(context.Background(), &r))
}

// call is a call with a bound.
func call[T any](ctx context.Context, c *rpc.Client, method string, args any) (T, error) {
	var r Answer[T]
	select {
	case done := <-c.Go(method, args, &r, make(chan *rpc.Call, 1)).Done:
		if done.Error != nil {
			return r.T, done.Error
		}
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	if r.Code != causeway.OK {
		return r.T, r.Code
	}
	return r.T, nil
}

// connect takes two connections of the gateway that will be stopped: it asks by one and is asked by the other.
func (x *site) connect(l net.Listener) {
	x.Helper()
	server := rpc.NewServer()
	if err := server.Register(&Owner{x.gateways[0].owner}); err != nil {
		x.Fatal(err)
	}
	asks, err := l.Accept()
	if err != nil {
		x.Fatal(err)
	}
	asked, err := l.Accept()
	if err != nil {
		x.Fatal(err)
	}
	client, done := rpc.NewClient(asked), make(chan struct{})
	go func() { defer close(done); server.ServeConn(asks) }()
	x.remote = func(ctx context.Context, r *gateway.Recall) (gateway.Commit, error) {
		return call[gateway.Commit](ctx, client, "Holder.Recall", *r)
	}
	x.Cleanup(func() { _ = client.Close(); _ = asks.Close(); <-done })
}

// ownerElsewhere is the owner as the gateway that is stopped sees it.
type ownerElsewhere struct{ client *rpc.Client }

func (o ownerElsewhere) Grant(ctx context.Context, s *gateway.GrantSpec) (gateway.GrantReply, error) {
	return call[gateway.GrantReply](ctx, o.client, "Owner.Grant", *s)
}

func (o ownerElsewhere) Renew(ctx context.Context, _ string, e causeway.Epoch, held []gateway.Held) ([]gateway.Held, error) {
	return call[[]gateway.Held](ctx, o.client, "Owner.Renew", Renewal{e, held})
}

func (o ownerElsewhere) Commit(ctx context.Context, _ string, e causeway.Epoch, h gateway.Held, c *gateway.Commit) error {
	_, err := call[bool](ctx, o.client, "Owner.Commit", Telling{e, h, *c})
	return err
}

func (o ownerElsewhere) Return(ctx context.Context, _ string, e causeway.Epoch, h gateway.Held, c *gateway.Commit) error {
	_, err := call[bool](ctx, o.client, "Owner.Return", Telling{e, h, *c})
	return err
}

// serveStopped is the gateway that is stopped. It does what its input says, and tells how that ended.
func serveStopped() {
	at, owner := os.Args[1], os.Args[2]
	lease, err := time.ParseDuration(os.Args[3])
	check(err)
	asks, err := net.Dial("tcp", owner)
	check(err)
	asked, err := net.Dial("tcp", owner)
	check(err)
	store, err := openAt(context.Background(), at, "stopped")
	check(err)
	d := &doors{}
	e := transfer.New(transfer.Config{Grants: ownerElsewhere{rpc.NewClient(asks)}, Node: "stopped", Renew: lease / 3})
	e.Attach(42, &doored{store, d})
	server := rpc.NewServer()
	check(server.Register(&Holder{e}))
	go server.ServeConn(asked)
	var printing sync.Mutex
	say := func(what string) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Println(what)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		switch words[0] {
		case "shut":
			d.close()
			go func(waits <-chan struct{}) {
				for range waits {
					say("at the door")
				}
			}(d.waits)
		case "open":
			d.open()
		case "write":
			say(written(e, words))
		case "late":
			go func() { say(written(e, words)) }()
		}
	}
}

func written(e *transfer.Engine, words []string) string {
	h := causeway.Handle{Volume: 42}
	var off uint64
	var object []byte
	_, err := fmt.Sscanf(words[1]+" "+words[2], "%x %d", &object, &off)
	check(err)
	copy(h.Object[:], object)
	_, err = e.Write(context.Background(), gatewaytest.Root(), h, off, bytes.Repeat([]byte(words[3]), 1000), causeway.DataSync)
	if err != nil {
		return causeway.CodeOf(err).Error()
	}
	return "ok"
}

func check(err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		panic(err)
	}
}
