package smb

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
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
		list = append(list, Target{server})
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
	m, h := r.receive(t)
	if h.Status != ntstatus.OK {
		return nil, h.Status
	}
	at, n := binary.LittleEndian.Uint32(m[wire.HeaderSize+32:]), binary.LittleEndian.Uint32(m[wire.HeaderSize+36:])
	return m[at : at+n], h.Status
}

// TestReferrals: each share is a root whose targets are the servers, the one that was asked for first; what the user may not use is not there.
func TestReferrals(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	ask := func(path string, level uint16, room uint32) ([]byte, ntstatus.Status) {
		input := append(binary.LittleEndian.AppendUint16(nil, level), wide(path+"\x00")...)
		return r.control(t, wire.CtlDFSReferrals, wire.AnyFile, input, room)
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

// FuzzControls: whatever stands in an FSCTL, it is answered; nothing panics.
func FuzzControls(f *testing.F) {
	for _, code := range []fscc.FSCTL{fscc.FSCTLCopyChunk, fscc.FSCTLSetZeroData, fscc.FSCTLAllocatedRanges, fscc.FSCTLSetSparse, fscc.FSCTLDFSGetReferrals,
		fscc.FSCTLDFSGetReferralsEx, fscc.FSCTLNetworkInterfaces, fscc.FSCTLGetReparsePoint, fscc.FSCTLSetReparsePoint, fscc.FSCTLSetCompression} {
		f.Add(uint32(code), []byte("0123456789abcdef0123456789abcdef"), uint32(64), true)
		f.Add(uint32(code), []byte{}, uint32(0), false)
	}
	f.Fuzz(func(t *testing.T, code uint32, input []byte, room uint32, noFile bool) {
		if len(input) > 1<<12 || code == wire.CtlValidateNegotiate {
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
	m, h := r.receive(t)
	for h.Status == ntstatus.Pending { // a busy machine
		m, h = r.receive(t)
	}
	if h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	return wire.FileID{Persistent: binary.LittleEndian.Uint64(m[wire.HeaderSize+64:]), Volatile: binary.LittleEndian.Uint64(m[wire.HeaderSize+72:])}
}
