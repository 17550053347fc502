package relay

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway/gateway/nfs/rpc"
)

const (
	getAttr = 1
	remove  = 12
)

func (s *site) getAttrArgs() []byte {
	return encoded(s, &nfsv3.Getattr3args{Object: nfsv3.NfsFh3{Data: s.root()}})
}

// file makes a file through its owner and returns the arguments that remove it.
func (s *site) file(name string) (removeArgs []byte) {
	s.Helper()
	args := &nfsv3.Create3args{Where: at(s.root(), name), How: &nfsv3.Createhow3_GUARDED{ObjAttributes: mode(0o644)}}
	created(s, s.g[0].dial("127.0.0.1").call(1, nfs, 3, 8, encoded(s, args)))
	return encoded(s, &nfsv3.Remove3args{Object: at(s.root(), name)})
}

// eventually waits for something.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// TestRetransmission holds that a call that is sent again through another gateway gets its first answer.
func TestRetransmission(t *testing.T) {
	s := newSite(t, patience)
	args := s.file("gone")
	first := s.g[1].dial("127.0.0.1").call(9, nfs, 3, remove, args)
	again := s.g[0].dial("127.0.0.1").call(9, nfs, 3, remove, args)
	if status(first) != 0 || !bytes.Equal(first, again) {
		t.Errorf("first %x, again %x", first, again)
	}
	if other := s.g[0].dial("127.0.0.1").call(10, nfs, 3, remove, args); status(other) != 2 {
		t.Errorf("another call: %x", other)
	}
}

// TestLostAnswer holds that a change whose answer was lost between the gateways is sent again and not done again.
func TestLostAnswer(t *testing.T) {
	s := newSite(t, patience)
	args := s.file("gone")
	var executed atomic.Int32
	cut := func(c *rpc.Call) {
		if c.Proc == remove && executed.Add(1) == 1 {
			s.g[0].cut()
		}
	}
	s.g[0].after.Store(&cut)
	if got := s.g[1].dial("127.0.0.1").call(9, nfs, 3, remove, args); status(got) != 0 || executed.Load() != 2 {
		t.Errorf("status %d after %d executions", status(got), executed.Load())
	}
	s.quiet()
}

// TestLostWhileExecuted is TestLostAnswer for a connection that breaks while the call is being executed: what is sent again
// meets its first execution.
func TestLostWhileExecuted(t *testing.T) {
	s := newSite(t, patience)
	args := s.file("gone")
	var executed, came atomic.Int32
	resume := make(chan struct{})
	inside := func() {
		executed.Add(1)
		s.g[0].cut()
		<-resume
	}
	before := func(c *rpc.Call) {
		if c.Proc == remove && came.Add(1) == 3 {
			close(resume) // the second one was dropped, since the first is not done
		}
	}
	s.g[0].inside.Store(&inside)
	s.g[0].before.Store(&before)
	if got := s.g[1].dial("127.0.0.1").call(9, nfs, 3, remove, args); status(got) != 0 || executed.Load() != 1 {
		t.Errorf("status %d after %d executions", status(got), executed.Load())
	}
}

// TestOwnerMoves sends calls while the volume goes from one gateway to the other and back.
func TestOwnerMoves(t *testing.T) {
	s := newSite(t, patience)
	var clients []*client
	for _, g := range s.g {
		clients = append(clients, g.dial("127.0.0.1"))
	}
	for i, owner := range []string{"g1", "g2", "g1", "", "g2"} {
		if owner == "" {
			s.move("")
			for _, c := range clients {
				c.send(uint32(i), nfs, 3, getAttr, s.getAttrArgs())
			}
			continue
		}
		pending := s.owner == ""
		s.move(owner)
		for _, c := range clients {
			if pending {
				if got, err := c.receive(patience); err != nil || status(got) != 0 {
					t.Errorf("waited for an owner: %x, %v", got, err)
				}
			}
			if got := c.call(uint32(i), nfs, 3, getAttr, s.getAttrArgs()); status(got) != 0 {
				t.Errorf("owner %s: %x", owner, got)
			}
		}
	}
}

// TestFormerOwner holds that a gateway answers nothing for a volume in an epoch that is not its own, and that the sender looks
// again.
func TestFormerOwner(t *testing.T) {
	s := newSite(t, patience)
	h, err := New(Config{
		Local: s.g[1].local[Program{nfs, 3}], Catalog: s.g[1].catalog, Peers: s.g[1].peers, Wait: patience,
		Owner: stale(s.g[1], 3),
	})
	s.must(err)
	s.g[1].rpc.Register(nfs, 3, h)
	if got := s.g[1].dial("127.0.0.1").call(1, nfs, 3, getAttr, s.getAttrArgs()); status(got) != 0 {
		t.Errorf("%x", got)
	}
	if n := s.g[1].peers.Stats(); n.Forwarded != 1 || n.Retried == 0 {
		t.Errorf("%+v", n)
	}
}

// TestOwnerHangs holds that a call does not wait for a gateway that does not answer when the volume has another owner.
func TestOwnerHangs(t *testing.T) {
	s := newSite(t, patience)
	resume := make(chan struct{})
	defer close(resume)
	reached := make(chan struct{}, 1)
	hang := func(*rpc.Call) {
		reached <- struct{}{}
		<-resume
	}
	s.g[0].before.Store(&hang)
	c := s.g[1].dial("127.0.0.1")
	c.send(1, nfs, 3, getAttr, s.getAttrArgs())
	<-reached
	s.move("g2")
	if got, err := c.receive(patience); err != nil || status(got) != 0 {
		t.Errorf("%x, %v", got, err)
	}
}

// TestOwnerComesBack holds that calls wait for an owner that died and comes back.
func TestOwnerComesBack(t *testing.T) {
	s := newSite(t, patience)
	c := s.g[1].dial("127.0.0.1")
	c.call(1, nfs, 3, getAttr, s.getAttrArgs())
	s.g[0].kill()
	eventually(t, "told", func() bool { return s.g[1].broken.Load() == 1 })
	for xid := range uint32(20) {
		c.send(xid, nfs, 3, getAttr, s.getAttrArgs())
	}
	eventually(t, "a retry", func() bool { return s.g[1].peers.Stats().Retried > 20 })
	s.g[0].listen(s.g[0].peerAt)
	for range 20 {
		if got, err := c.receive(patience); err != nil || status(got) != 0 {
			t.Fatalf("%x, %v", got, err)
		}
	}
}

// TestNoOwner holds that clients are told to come again in the form that each procedure has for it, and that a change that may have
// been done gets no answer.
func TestNoOwner(t *testing.T) {
	s := newSite(t, 20*time.Millisecond)
	s.move("")
	c := s.g[1].dial("127.0.0.1")
	for proc, read := range failureReaders {
		got := c.call(proc, nfs, 3, proc, append([]byte{0, 0, 0, 60}, s.root()...))
		if n, err := read(bytes.NewReader(got)); err != nil || n != int64(len(got)) || status(got) != nfsJukebox {
			t.Errorf("procedure %d: %x (%d bytes read, %v)", proc, got, n, err)
		}
	}
	if got := c.call(50, mount, 3, mountMnt, []byte{0, 0, 0, 2, '/', 'v', 0, 0}); status(got) != mountIO {
		t.Errorf("MNT: %x", got)
	}
	s.move("g1")
	args := s.file("perhaps")
	hang := make(chan struct{})
	held := func(c *rpc.Call) {
		if c.Proc == remove {
			<-hang
		}
	}
	s.g[0].before.Store(&held)
	c.send(60, nfs, 3, remove, args)
	c.send(61, nfs, 3, 0, nil)
	eventually(t, "a call that is given up", func() bool { return s.g[1].peers.Stats().Refused == uint64(len(failureReaders)+2) })
	if got, err := c.receive(patience); err != nil || len(got) != 0 {
		t.Errorf("a call that may have been done was answered: %x, %v", got, err)
	}
	close(hang)
	c.nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.nc.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
		t.Error("and again")
	}
}
