package client_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/backend/posix"
	"causeway/client"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/aware"
	"causeway/gateway/nfs/fh"
)

// onHost is a world with a volume in a directory, and a gateway that lends its files.
type onHost struct {
	*world
	lender *aware.Lender
	socket string
	dir    string
	volume *causeway.Volume
}

func newOnHost(t testing.TB, change func(*causeway.Volume)) *onHost {
	t.Helper()
	w := &onHost{world: newWorld(t, 1, nil), dir: t.TempDir(), socket: filepath.Join(t.TempDir(), "socket")}
	if err := os.Chmod(w.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	store, err := posix.Open(t.Context(), w.dir, posix.Config{})
	if err != nil {
		t.Skip("a volume in a directory cannot be opened here: ", err)
	}
	t.Cleanup(func() { store.Close() })
	v := *w.first
	v.ID, v.Name = 9, "dir"
	if change != nil {
		change(&v)
	}
	w.volume = &v
	w.attach(&v, store)
	if err := w.catalog.Publish([]*causeway.Volume{w.first, &v}); err != nil {
		t.Fatal(err)
	}
	w.lender = w.fronts[w.where[0]].server.NewLender()
	w.recalls.Tell(w.lender)
	l, err := w.lender.Listen(w.socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.lender.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		w.end(w.where[0])
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// opened opens a file with contents, as the process's user.
func (w *onHost) opened(local string, contents []byte) *client.File {
	w.t.Helper()
	c, err := client.Dial(background, client.Config{Local: local}, w.where[0])
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	v, err := c.Volume(background, "dir")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := v.WriteFile(background, "file", contents, 0o644); err != nil {
		w.t.Fatal(err)
	}
	f, err := v.OpenFile(background, "file", os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// TestLocal: on a gateway's host a file is read without the gateway, and what is written through it is seen.
func TestLocal(t *testing.T) {
	w := newOnHost(t, nil)
	text := bytes.Repeat([]byte("0123456789"), 1000)
	f := w.opened(w.socket, text)
	got := make([]byte, len(text)+10)
	if n, err := f.ReadAt(got, 0); n != len(text) || err != io.EOF || !bytes.Equal(got[:n], text) {
		t.Fatal(n, err)
	}
	if w.lender.Loans() != 1 {
		t.Fatal("nothing is lent")
	}
	if _, err := f.WriteAt([]byte("abc"), 5); err != nil {
		t.Fatal(err)
	}
	w.kill(w.where[0])
	for range 3 { // longer than a lease
		if n, err := f.ReadAt(got[:10], 3); n != 10 || err != nil || string(got[:10]) != "34abc89012" {
			t.Fatalf("%q, %v", got[:n], err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	w.revive(w.where[0])
	fine(t, f.Close())
	w.until("the file is given back", func() bool { return w.lender.Loans() == 0 })
}

// TestLocalRecall: what is lent ends before a recall is answered, and is lent again.
func TestLocalRecall(t *testing.T) {
	w := newOnHost(t, nil)
	f := w.opened(w.socket, []byte("text"))
	got := make([]byte, 4)
	read := func() {
		t.Helper()
		if _, err := f.ReadAt(got, 0); err != nil || string(got) != "text" {
			t.Fatal(string(got), err)
		}
	}
	read()
	h := w.handle("file")
	for range 5 {
		w.until("it is lent", func() bool { read(); return w.lender.Loans() == 1 })
		if _, err := w.recalls.Recall(background, &gateway.Recall{Handle: h, Seq: 1 << 62}); err != nil {
			t.Fatal(err)
		}
		if n := w.lender.Loans(); n != 0 {
			t.Fatal(n, "loans after a recall")
		}
	}
	s := w.stranger()
	fd, code := s.ask(w.wire("file"))
	if code != causeway.OK {
		t.Fatal(code)
	}
	defer unix.Close(fd)
	if _, err := w.recalls.Recall(background, &gateway.Recall{Handle: h, Seq: 1 << 62}); err != nil { // who does not answer holds it up for a lease
		t.Fatal(err)
	}
	w.until("its lease is over", func() bool { return w.lender.Loans() == 0 })
}

// TestLocalRights: descriptors are for reading, and nobody gets one who could do more by it than by way of the export.
func TestLocalRights(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*causeway.Volume)
		want   causeway.Code
	}{
		"owner": {nil, causeway.OK},
		"squashed": {func(v *causeway.Volume) {
			v.Exports = all(causeway.ExportRule{Squash: causeway.AllSquash, AnonUID: 4321})
		}, causeway.ErrNotSupp},
		"read-only": {func(v *causeway.Volume) {
			v.Exports = all(causeway.ExportRule{Squash: causeway.NoRootSquash, ReadOnly: true})
		}, causeway.ErrNotSupp},
		"elsewhere": {func(v *causeway.Volume) { v.Exports = nil }, causeway.ErrAccess},
		"private": {func(v *causeway.Volume) {
			v.Exports = all(causeway.ExportRule{Squash: causeway.AllSquash, AnonUID: 4321})
		}, causeway.ErrAccess},
	} {
		t.Run(name, func(t *testing.T) {
			w := newOnHost(t, test.change)
			mode := os.FileMode(0o644)
			if name == "private" {
				mode = 0o600
			}
			if err := os.WriteFile(filepath.Join(w.dir, "file"), []byte("text"), mode); err != nil {
				t.Fatal(err)
			}
			fd, code := w.stranger().ask(w.wire("file"))
			if code != test.want {
				t.Fatalf("%v, not %v", code, test.want)
			}
			if code != causeway.OK {
				return
			}
			defer unix.Close(fd)
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
				t.Error("it can be written by", flags, err)
			}
			if _, err := unix.Pwrite(fd, []byte("x"), 0); !errors.Is(err, unix.EBADF) {
				t.Error(err)
			}
		})
	}
}

func all(r causeway.ExportRule) []causeway.ExportRule {
	r.Prefix = rules[0].Prefix
	return []causeway.ExportRule{r}
}

// TestLocalRubbish: what is no message ends the connection, and what is lent by it.
func TestLocalRubbish(t *testing.T) {
	w := newOnHost(t, nil)
	w.opened("-", []byte("text"))
	for _, rubbish := range [][]byte{{0xff}, make([]byte, 5000), {8, 0}} {
		s := w.stranger()
		if fd, code := s.ask(w.wire("file")); code != causeway.OK {
			t.Fatal(code)
		} else {
			unix.Close(fd)
		}
		if _, err := s.Write(rubbish); err != nil {
			t.Fatal(err)
		}
		s.SetReadDeadline(time.Now().Add(30 * time.Second))
		if n, err := s.Read(make([]byte, 10)); err != io.EOF && n != 0 {
			t.Error(n, err)
		}
		w.until("the loan has ended", func() bool { return w.lender.Loans() == 0 })
	}
	s := w.stranger()
	if _, code := s.ask([]byte("no handle")); code == causeway.OK {
		t.Error("it lends what nobody knows")
	}
}

// TestLocalCrowd: a user has a quarter of what is lent at most, and gets more when something has ended.
func TestLocalCrowd(t *testing.T) {
	w := newOnHost(t, nil)
	w.opened("-", []byte("text"))
	s, wire := w.stranger(), w.wire("file")
	most := uint64(0)
	for code := causeway.OK; code == causeway.OK && most < 5000; most++ {
		var fd int
		if fd, code = s.askFor(most+1, wire); fd >= 0 {
			unix.Close(fd)
		}
		if w.lender.Loans() > 1024 {
			t.Fatal(w.lender.Loans(), "loans")
		}
	}
	t.Logf("%d asked for", most)
	w.until("leases have ended", func() bool { return w.lender.Loans() == 0 })
	if fd, code := s.ask(wire); code != causeway.OK {
		t.Error(code)
	} else {
		unix.Close(fd)
	}
	var conns []*stranger
	for range 70 {
		conns = append(conns, w.stranger())
	}
	last := conns[len(conns)-1]
	last.SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := last.Read(make([]byte, 10)); err != io.EOF && n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("too many connections:", n, err)
	}
}

// TestLocalDeaf: a program that reads none of what it is told, and has a file many times, holds a recall up for no longer than a lease lasts.
func TestLocalDeaf(t *testing.T) {
	w := newOnHost(t, nil)
	w.opened("-", []byte("text"))
	h, wire, s, reader := w.handle("file"), w.wire("file"), w.stranger(), w.stranger()
	for id := range uint64(900) { // more than it can be told of without reading
		fd, code := s.askFor(id+1, wire)
		if code != causeway.OK {
			t.Fatal(code)
		}
		unix.Close(fd)
	}
	if fd, code := reader.ask(wire); code != causeway.OK {
		t.Fatal(code)
	} else {
		unix.Close(fd)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := w.recalls.Recall(background, &gateway.Recall{Handle: h, Seq: 1 << 62}); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second): // 150 ms for each that it could not be told of
		t.Error("a recall is held up by one that does not read")
	}
	reader.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf, r := make([]byte, 4096), &clientpb.LocalReply{}
	if n, err := reader.Read(buf); err != nil || proto.Unmarshal(buf[:n], r) != nil || !r.Recall || r.Id != 1 {
		t.Error("who reads is not told:", r, err)
	}
	s.Close()
	<-ended
}

// handle finds a file.
func (w *onHost) handle(name string) causeway.Handle {
	w.t.Helper()
	c := &gateway.Caller{}
	root, err := w.access.Root(background, c, w.volume.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	e, _, err := w.access.Lookup(background, c, root.Handle, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.Handle
}

// wire is the handle as clients know it.
func (w *onHost) wire(name string) []byte { return fh.Append(nil, w.volume, w.handle(name).Object) }

// stranger is a program that speaks to the socket without the library.
type stranger struct {
	*net.UnixConn
	t testing.TB
}

func (w *onHost) stranger() *stranger {
	w.t.Helper()
	return strangerAt(w.t, w.socket)
}

func strangerAt(t testing.TB, socket string) *stranger {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &stranger{c, t}
}

func (s *stranger) ask(handle []byte) (fd int, code causeway.Code) {
	s.t.Helper()
	return s.askFor(1, handle)
}

func (s *stranger) askFor(id uint64, handle []byte) (fd int, code causeway.Code) {
	s.t.Helper()
	m, _ := proto.Marshal(&clientpb.LocalRequest{Id: id, Handle: handle})
	if _, err := s.Write(m); err != nil {
		s.t.Fatal(err)
	}
	buf, oob := make([]byte, 4096), make([]byte, 128)
	n, nOOB, _, _, err := s.ReadMsgUnix(buf, oob)
	r := &clientpb.LocalReply{}
	if err != nil || proto.Unmarshal(buf[:n], r) != nil {
		s.t.Fatal(err)
	}
	if messages, _ := unix.ParseSocketControlMessage(oob[:nOOB]); len(messages) == 1 {
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			s.t.Fatal(fds, err)
		}
		return fds[0], causeway.Code(r.Code)
	}
	return -1, causeway.Code(r.Code)
}

// BenchmarkRead reads 4 KiB at a time, by the descriptor and by way of the gateway: cpu-µs/op is what client and gateway take together.
func BenchmarkRead(b *testing.B) {
	for name, local := range map[string]bool{"local": true, "gateway": false} {
		b.Run(name, func(b *testing.B) {
			w := newOnHost(b, nil)
			at := "-"
			if local {
				at = w.socket
			}
			f := w.opened(at, make([]byte, 1<<20))
			p := make([]byte, 4096)
			f.ReadAt(p, 0)
			before := cpu(b)
			b.ResetTimer()
			for i := range b.N {
				if _, err := f.ReadAt(p, int64(i%256)*4096); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
