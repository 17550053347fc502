package smb

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// referrers are the servers of every volume.
type referrers []string

func (r referrers) Referrals(*causeway.Volume, netip.Addr) (list []Target) {
	for _, server := range r {
		if a, err := netip.ParseAddr(server); err == nil {
			list = append(list, Target{Addr: a})
		} else {
			list = append(list, Target{Server: server})
		}
	}
	return list
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// control sends an FSCTL and returns its answer.
func (r *rig) control(t *testing.T, code uint32, file wire.FileID, input []byte, room uint32) ([]byte, ntstatus.Status) {
	t.Helper()
	b := binary.LittleEndian.AppendUint32([]byte{57, 0, 0, 0}, code)
	b = binary.LittleEndian.AppendUint64(b, file.Persistent)
	b = binary.LittleEndian.AppendUint64(b, file.Volatile)
	for _, n := range []uint32{wire.HeaderSize + 56, uint32(len(input)), 0, 0, 0, room, wire.CtlIsFSCtl, 0} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	r.send(t, r.request(wire.IOCtl, 0, append(append(b, input...), 0)))
	m, h := r.final(t)
	if h.Status != ntstatus.OK {
		return nil, h.Status
	}
	at, n := binary.LittleEndian.Uint32(m[wire.HeaderSize+32:]), binary.LittleEndian.Uint32(m[wire.HeaderSize+36:])
	return m[at : at+n], h.Status
}

// final is receive, of a reply that says more than that another one follows.
func (r *rig) final(t *testing.T) ([]byte, wire.Header) {
	t.Helper()
	for {
		if m, h := r.receive(t); h.Status != ntstatus.Pending {
			return m, h
		}
	}
}

// TestReferrals: each share is a root whose targets are the servers, the one that was asked for first; what the user may not use is not there.
func TestReferrals(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	ask := func(path string, level uint16, room uint32) ([]byte, ntstatus.Status) {
		input := append(binary.LittleEndian.AppendUint16(nil, level), wide(path+"\x00")...)
		return r.control(t, fscc.FSCTLDFSGetReferrals, wire.AnyFile, input, room)
	}
	for level := uint16(2); level <= 4; level++ {
		b, status := ask(`\10.0.0.2\VOL\a\b`, level, 4096)
		if status != ntstatus.OK || binary.LittleEndian.Uint16(b[2:]) != 2 || binary.LittleEndian.Uint16(b[8:]) != level {
			t.Fatalf("version %d: %v %x", level, status, b)
		}
		if consumed := binary.LittleEndian.Uint16(b); consumed != uint16(len(wide(`\10.0.0.2\VOL`))) {
			t.Error("consumed", consumed)
		}
		first, second := strings.Index(string(b), string(wide(`\10.0.0.2\vol`))), strings.Index(string(b), string(wide(`\10.0.0.1\vol`)))
		if first < 0 || second < first {
			t.Errorf("version %d: targets at %d and %d of %x", level, first, second, b)
		}
	}
	for _, path := range []string{``, `\10.0.0.2`, `\10.0.0.2\other`} {
		if _, status := ask(path, 4, 4096); status != ntstatus.NotFound {
			t.Errorf("%q: %v", path, status)
		}
	}
	if _, status := ask(`\a\vol`, 4, 16); status != ntstatus.BufferOverflow {
		t.Error("in 16 bytes:", status)
	}
	r.srv.cfg.Referrals = referrers{}
	if b, status := ask(`\a\vol`, 3, 4096); status != ntstatus.OK || !strings.Contains(string(b), string(wide(`\a\vol`))) {
		t.Errorf("without a list: %v %x", status, b)
	}
}

// TestReferralsToIPv6: an address with colons is written as the name that Windows has for it, but for who writes addresses with colons himself; who
// came to it stays.
func TestReferralsToIPv6(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.srv.cfg.Referrals = referrers{"2001:db8::1", "::ffff:10.0.0.9", "2001:db8:1::", "::2"}
	r.srv.cfg.ReferralTTL = func() time.Duration { return 77 * time.Second }
	for server, want := range map[string][]string{
		"nas":                            {"2001-db8--1.ipv6-literal.net", "10.0.0.9", "2001-db8-1--0.ipv6-literal.net", "0--2.ipv6-literal.net"},
		"2001-DB8-1--0.ipv6-literal.net": {"2001-db8-1--0.ipv6-literal.net", "2001-db8--1.ipv6-literal.net", "10.0.0.9", "0--2.ipv6-literal.net"},
		"2001:db8:1::":                   {"2001:db8:1::", "2001:db8::1", "10.0.0.9", "::2"},
	} {
		input := append(binary.LittleEndian.AppendUint16(nil, 3), wide(`\`+server+`\vol`+"\x00")...)
		b, status := r.control(t, fscc.FSCTLDFSGetReferrals, wire.AnyFile, input, 4096)
		if status != ntstatus.OK || binary.LittleEndian.Uint32(b[8+8:]) != 77 {
			t.Fatalf("%s: %v %x", server, status, b)
		}
		last := 0
		for _, name := range want {
			at := strings.LastIndex(string(b), string(wide(`\`+name+`\vol`+"\x00")))
			if at < last {
				t.Errorf("%s: %s at %d, after %d", server, name, at, last)
			}
			last = at
		}
	}
}

// TestInterfaces: a client is told all addresses, first the one that it came to, and no more than it has room for.
func TestInterfaces(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.conn.local = netip.MustParseAddr("192.0.2.7")
	r.srv.cfg.Interfaces = func() (list []Interface) {
		for i := range 100 {
			list = append(list, Interface{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Index: 10 + i, Speed: uint64(i) * 1e9})
		}
		return list
	}
	ask := func(room uint32) []byte {
		b, status := r.control(t, fscc.FSCTLNetworkInterfaces, wire.AnyFile, nil, room)
		if status != ntstatus.OK {
			t.Fatal(status)
		}
		return b
	}
	b := ask(1 << 16)
	if len(b) != maxInterfaces*fscc.InterfaceSize {
		t.Fatal(len(b), "bytes")
	}
	if index, speed, addr := le.Uint32(b[4:]), le.Uint64(b[16:]), b[28:32]; index != 17 || speed != 7e9 || string(addr) != "\xc0\x00\x02\x07" {
		t.Error(index, speed, addr)
	}
	if second := b[fscc.InterfaceSize:]; le.Uint64(second[16:]) != 1e9 || second[31] != 0 { // of unknown speed
		t.Errorf("%x", second[:40])
	}
	if b := ask(3 * fscc.InterfaceSize); len(b) != 3*fscc.InterfaceSize || le.Uint32(b[2*fscc.InterfaceSize:]) != 0 {
		t.Errorf("%d bytes", len(b))
	}
}

// FuzzControls: whatever stands in an FSCTL, it is answered; nothing panics.
func FuzzControls(f *testing.F) {
	for _, code := range []uint32{fscc.FSCTLCopyChunk, fscc.FSCTLSetZeroData, fscc.FSCTLAllocatedRanges, fscc.FSCTLSetSparse, fscc.FSCTLDFSGetReferrals,
		fscc.FSCTLDFSGetReferralsEx, fscc.FSCTLNetworkInterfaces, fscc.FSCTLGetReparsePoint, fscc.FSCTLSetReparsePoint, fscc.FSCTLSetCompression} {
		f.Add(uint32(code), []byte("0123456789abcdef0123456789abcdef"), uint32(64), true)
		f.Add(uint32(code), []byte{}, uint32(0), false)
	}
	f.Fuzz(func(t *testing.T, code uint32, input []byte, room uint32, noFile bool) {
		if len(input) > 1<<12 || code == fscc.FSCTLValidateNegotiate {
			return // the latter ends the connection
		}
		r := newRig(t, false)
		defer r.close()
		id := r.openFile(t)
		if noFile {
			id = wire.AnyFile
		}
		r.control(t, code, id, input, room)
		if r.srv.counts.panics.Load() != 0 {
			t.Fatal("it panicked")
		}
	})
}

// openFile makes a file and opens it.
func (r *rig) openFile(t *testing.T) wire.FileID {
	name := wide("f")
	b := append([]byte{57, 0, 0, 0, 2, 0, 0, 0}, make([]byte, 16)...)
	for _, n := range []uint32{wire.AccessAll, 0, 7, uint32(wire.OpenIf), 0} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = binary.LittleEndian.AppendUint16(b, wire.HeaderSize+56)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	b = append(append(b, make([]byte, 8)...), name...)
	r.send(t, r.request(wire.Create, 0, b))
	m, h := r.final(t)
	if h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	return wire.FileID{Persistent: binary.LittleEndian.Uint64(m[wire.HeaderSize+64:]), Volatile: binary.LittleEndian.Uint64(m[wire.HeaderSize+72:])}
}
