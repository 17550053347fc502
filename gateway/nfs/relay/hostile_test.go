package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway"
	"causeway/cluster/pki"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// peerConn connects to a gateway as another one would.
func (s *site) peerConn(cfg *tls.Config) (net.Conn, error) {
	s.Helper()
	cfg.ServerName = s.g[0].host
	nc, err := tls.Dial("tcp", s.g[0].peerAt, cfg)
	if err == nil {
		s.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
	}
	return nc, err
}

func frameOf(k kind, id uint64, body []byte) []byte {
	p := make([]byte, headSize, headSize+len(body))
	putHead(p, head{uint32(len(body)), k, id})
	return append(p, body...)
}

func sampleCall(s *site) (request, *rpc.Call) {
	c := &rpc.Call{
		XID: 7, Prog: nfs, Vers: 3, Proc: getAttr, Flavor: rpc.AuthSys, Machine: "host", Cred: causeway.Cred{UID: 1, GID: 2, Groups: []uint32{3, 4}},
		Remote: netip.MustParseAddrPort("127.0.0.1:700"), Local: netip.MustParseAddrPort("[fd00::1]:2049"),
		Args: xdr.NewDecoder(append([]byte{0, 0, 0, 60}, s.root()...)),
	}
	return request{kind: kindCall, epoch: s.epoch, patience: time.Second}, c
}

// TestHostileFrames holds that what is no frame ends its connection, and nothing else.
func TestHostileFrames(t *testing.T) {
	s := newSite(t, patience)
	r, call := sampleCall(s)
	body := appendCall(nil, r, call)
	twist := func(at int, v byte) []byte {
		b := bytes.Clone(frameOf(kindCall, 1, body))
		b[at] = v
		return b
	}
	for name, sent := range map[string][]byte{
		"length":   twist(0, 0x7f),
		"short":    frameOf(kindCall, 1, body[:callSize-1]),
		"format":   twist(4, 2),
		"kind":     twist(5, 9),
		"reply":    frameOf(kindReply, 1, body),
		"zero":     twist(7, 1),
		"groups":   twist(headSize+16+8*4+1, 255),
		"machine":  twist(headSize+16+8*4+3, 255),
		"family":   twist(headSize+16+8*4+4, 5),
		"datagram": twist(headSize+16+8*4, 2),
		"cancel":   frameOf(kindCancel, 1, []byte("body")),
		"http":     []byte("GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"),
	} {
		nc, err := s.peerConn(s.g[1].identity.Client())
		s.must(err)
		nc.Write(frameOf(kindCancel, 99, nil)) // of nothing: no matter
		nc.Write(sent)
		if n, err := io.Copy(io.Discard, nc); n != 0 || isTimeout(err) {
			t.Errorf("%s: answered with %d bytes, %v", name, n, err)
		}
	}
	nc, err := s.peerConn(s.g[1].identity.Client())
	s.must(err)
	nc.Write(frameOf(kindCall, 5, body))
	answer := make([]byte, headSize+replySize+4+84)
	if _, err := io.ReadFull(nc, answer); err != nil || !bytes.Equal(answer[:headSize+8], append(frameOf(kindReply, 5, make([]byte, 92))[:headSize], make([]byte, 8)...)) {
		t.Errorf("after all that: %x, %v", answer, err)
	}
	nc.Close()
	s.quiet()
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// TestStrangers holds that only gateways of the cluster are answered, and asked.
func TestStrangers(t *testing.T) {
	s := newSite(t, 300*time.Millisecond)
	other, err := pki.NewAuthority("test", time.Now())
	s.must(err)
	stranger := identity(t, other, "g2", s.g[1].host)
	for name, cfg := range map[string]*tls.Config{"a stranger": stranger.Client(), "nobody": {RootCAs: s.g[1].identity.Client().RootCAs}} {
		cfg.InsecureSkipVerify = true
		nc, err := s.peerConn(cfg)
		if err != nil {
			continue
		}
		r, call := sampleCall(s)
		nc.Write(frameOf(kindCall, 1, appendCall(nil, r, call)))
		if n, err := io.Copy(io.Discard, nc); n != 0 || isTimeout(err) {
			t.Errorf("%s was answered: %d bytes, %v", name, n, err)
		}
	}
	// Another gateway where g1 was: its certificate is good, its name is not.
	s.g[0].kill()
	s.g[0].identity = identity(t, s.ca, "g3", s.g[0].host)
	s.g[0].listen(s.g[0].peerAt)
	if got := s.g[1].dial("127.0.0.1").call(1, nfs, 3, getAttr, s.getAttrArgs()); status(got) != nfsJukebox {
		t.Errorf("a gateway of another name was asked: %x", got)
	}
}

// TestPanic holds that a panic ends its call only.
func TestPanic(t *testing.T) {
	s := newSite(t, patience)
	c := s.g[1].dial("127.0.0.1")
	panics := func(*rpc.Call) { panic("provoked") }
	s.g[0].before.Store(&panics)
	c.send(1, nfs, 3, getAttr, s.getAttrArgs())
	if got, err := c.receive(patience); err == nil || isTimeout(err) {
		t.Errorf("answered: %x, %v", got, err)
	}
	s.g[0].before.Store(nil)
	if got := c.call(2, nfs, 3, getAttr, s.getAttrArgs()); status(got) != 0 {
		t.Errorf("%x", got)
	}
	s.quiet()
}

// TestEpochIsChecked holds that no handler sees a call of an epoch that is not the gateway's, or of a volume that is not its own.
func TestEpochIsChecked(t *testing.T) {
	s := newSite(t, patience)
	var reached atomic.Int32
	count := func(*rpc.Call) { reached.Add(1) }
	s.g[0].before.Store(&count)
	nc, err := s.peerConn(s.g[1].identity.Client())
	s.must(err)
	older, newer := s.epoch, s.epoch
	older.Revision--
	newer.Incarnation++
	for i, epoch := range []causeway.Epoch{{}, older, newer} {
		r, call := sampleCall(s)
		r.epoch = epoch
		nc.Write(frameOf(kindCall, uint64(i), appendCall(nil, r, call)))
		answer := make([]byte, headSize+replySize)
		if _, err := io.ReadFull(nc, answer); err != nil || answer[headSize] != byte(notMine) {
			t.Errorf("epoch %v: %x, %v", epoch, answer, err)
		}
	}
	if reached.Load() != 0 {
		t.Error("a handler was reached")
	}
}

// TestExpelled holds that a node that was removed is not answered, although its connection stands and its certificate is good.
func TestExpelled(t *testing.T) {
	s := newSite(t, 200*time.Millisecond)
	c := s.g[1].dial("127.0.0.1")
	if got := c.call(1, nfs, 3, getAttr, s.getAttrArgs()); status(got) != 0 {
		t.Errorf("%x", got)
	}
	s.mu.Lock()
	s.expelled = "g2"
	s.mu.Unlock()
	if got := c.call(2, nfs, 3, getAttr, s.getAttrArgs()); status(got) != nfsJukebox {
		t.Errorf("%x", got)
	}
}

// TestLargeDoNotBlockSmall holds that small calls are answered while the large ones hang.
func TestLargeDoNotBlockSmall(t *testing.T) {
	s := newSite(t, patience)
	resume := make(chan struct{})
	hang := func(c *rpc.Call) {
		if c.Proc == nfsRead {
			<-resume
		}
	}
	s.g[0].before.Store(&hang)
	c := s.g[1].dial("127.0.0.1")
	large := encoded(t, &nfsv3.Read3args{File: nfsv3.NfsFh3{Data: s.root()}, Count: 1 << 20})
	for xid := range uint32(40) { // more than go out at once
		c.send(xid, nfs, 3, nfsRead, large)
	}
	if got := s.g[1].dial("127.0.0.1").call(1, nfs, 3, getAttr, s.getAttrArgs()); status(got) != 0 {
		t.Errorf("%x", got)
	}
	close(resume)
	for range 40 {
		if got, err := c.receive(patience); err != nil || status(got) != 21 {
			t.Fatalf("READ of a directory: %x, %v", got, err)
		}
	}
}

// TestDrain holds that a server that is shut down answers what it executes.
func TestDrain(t *testing.T) {
	s := newSite(t, patience)
	reached, resume := make(chan struct{}), make(chan struct{})
	hang := func(*rpc.Call) { close(reached); <-resume }
	s.g[0].before.Store(&hang)
	c := s.g[1].dial("127.0.0.1")
	c.send(1, nfs, 3, getAttr, s.getAttrArgs())
	<-reached
	done := make(chan error)
	go func() { done <- s.g[0].server.Load().Shutdown(context.Background()) }()
	eventually(t, "draining", func() bool {
		srv := s.g[0].server.Load()
		srv.mu.Lock()
		defer srv.mu.Unlock()
		return srv.draining
	})
	close(resume)
	if got, err := c.receive(patience); err != nil || status(got) != 0 {
		t.Errorf("%x, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.g[1].peers.Stats(); n.Retried != 0 || n.Forwarded != 1 {
		t.Errorf("%+v", n)
	}
}

func FuzzCall(f *testing.F) {
	s := newSite(f, patience)
	r, c := sampleCall(s)
	f.Add(appendCall(nil, r, c))
	f.Add(make([]byte, callSize))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := request{kind: kindCall}
		var c rpc.Call
		var groups [maxGroups]uint32
		if parseCall(p, &r, &c, &groups) != nil {
			return
		}
		again := appendCall(nil, r, &c)
		if len(again) != callLength(&c) {
			t.Fatalf("%d bytes, %d announced", len(again), callLength(&c))
		}
		r2 := request{kind: kindCall}
		var c2 rpc.Call
		var groups2 [maxGroups]uint32
		if err := parseCall(again, &r2, &c2, &groups2); err != nil {
			t.Fatal(err)
		}
		if r.patience > 1<<31*time.Millisecond {
			r.patience = 1 << 31 * time.Millisecond
		}
		if r != r2 || !reflect.DeepEqual(c, c2) {
			t.Fatalf("%+v %+v\n%+v %+v", r, c, r2, c2)
		}
		target(&c, s.g[0].catalog)
		refuse(&c, false)
	})
}

func FuzzHead(f *testing.F) {
	f.Add(frameOf(kindCall, 1, make([]byte, callSize))[:headSize])
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) != headSize {
			return
		}
		h, err := parseHead(p, 1<<20)
		if err != nil {
			return
		}
		if h.length > 1<<20 {
			t.Fatal(h.length)
		}
		again := make([]byte, headSize)
		putHead(again, h)
		if !bytes.Equal(again, p) {
			t.Fatalf("%x %x", p, again)
		}
	})
}
