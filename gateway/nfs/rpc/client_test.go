package rpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"causeway/gateway/nfs/xdr"
)

// call makes one call by TCP.
func call(t *testing.T, addr netip.AddrPort, prog, vers, proc uint32, args func(*xdr.Encoder), reply func(*xdr.Decoder) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return CallOnce(ctx, "tcp", netip.AddrPort{}, addr, prog, vers, proc, nil, args, reply)
}

func TestClientErrors(t *testing.T) {
	_, _, addr := serve(t, Config{})
	own := errors.New("the caller's")
	for name, c := range map[string]struct {
		prog, vers, proc uint32
		reply            func(*xdr.Decoder) error
		want             error
	}{
		"program":   {1, 1, 0, nil, ErrProgUnavail},
		"version":   {testProg, 77, 0, nil, ErrProgMismatch},
		"procedure": {testProg, testVers, 99, nil, ErrProcUnavail},
		"garbage":   {testProg, testVers, procBad, nil, ErrGarbageArgs},
		"system":    {testProg, testVers, procPanic, nil, ErrSystem},
		"auth":      {testProg, testVers, procWeak, nil, ErrAuth},
		"short":     {testProg, testVers, procNull, func(d *xdr.Decoder) error { d.Uint32(); return nil }, ErrBadReply},
		"own":       {testProg, testVers, procNull, func(d *xdr.Decoder) error { return own }, own},
		"none":      {testProg, testVers, procNull, nil, nil},
	} {
		if err := call(t, addr, c.prog, c.vers, c.proc, nil, c.reply); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := call(t, addr, testProg, testVers, procBulk, func(e *xdr.Encoder) { e.Uint32(maxReply) }, nil)
	if !errors.Is(err, errRecordTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// TestClientGivesUp: the end of the context ends a call, and the client says so afterwards.
func TestClientGivesUp(t *testing.T) {
	_, _, addr := serve(t, Config{})
	for _, network := range []string{"tcp", "udp"} {
		to := addr
		if network == "udp" {
			silent, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			to = addrPort(silent.LocalAddr())
		}
		c, err := Dial(t.Context(), network, netip.AddrPort{}, to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := c.Call(ctx, testProg, testVers, procDrop, nil, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", network, err)
		}
		if err := c.Call(t.Context(), testProg, testVers, procNull, nil, nil, nil); err == nil {
			t.Errorf("%s: out of step, and still used", network)
		}
	}
}

// TestClientRetransmits: a datagram that is lost is sent again, and replies to other calls are passed over.
func TestClientRetransmits(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	s := testServer(t)
	go func() {
		b := make([]byte, 1000)
		pc.ReadFrom(b) // lost
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		reply, _ := answerBytes(t, s, b[:n])
		pc.WriteTo([]byte("?"), from)
		pc.WriteTo(append([]byte{reply[0] + 1}, reply[1:]...), from)
		pc.WriteTo(reply, from)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := CallOnce(ctx, "udp", netip.AddrPort{}, addrPort(pc.LocalAddr()), testProg, testVers, procNull, nil, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestClientNobodyListens(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := addrPort(pc.LocalAddr())
	pc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, network := range []string{"udp", "tcp"} {
		err := CallOnce(ctx, network, netip.AddrPort{}, addr, testProg, testVers, procNull, nil, nil, nil)
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", network, err)
		}
	}
	if _, err := Dial(ctx, "unix", netip.AddrPort{}, addr); err == nil {
		t.Error("unix")
	}
}

func TestReservedPort(t *testing.T) {
	_, _, addr := serve(t, Config{})
	for _, local := range []netip.AddrPort{{}, netip.MustParseAddrPort("127.0.0.3:0")} {
		c, err := Dial(t.Context(), "tcp", local, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if os.Geteuid() == 0 && c.LocalAddr().Port() >= 1024 {
			t.Error(c.LocalAddr())
		}
		if local.IsValid() && c.LocalAddr().Addr() != local.Addr() {
			t.Error(c.LocalAddr())
		}
	}
}

// FuzzReply: no reply makes a client panic.
func FuzzReply(f *testing.F) {
	f.Add(words(1, 1, 0, 0, 0, 0, 5))
	f.Add(words(1, 1, 1, 1, 2))
	f.Fuzz(func(t *testing.T, record []byte) {
		decodeReply(record, func(d *xdr.Decoder) error { d.Opaque(100); return nil })
	})
}
