package rpcpipe

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/security"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func testServer() *Server {
	return &Server{
		Name: "GATE", Comment: "a gateway", Domain: "WORKGROUP",
		Now:    func() time.Time { return time.Date(2024, 2, 29, 13, 14, 15, 160e6, time.UTC) },
		Shares: func() []Share { return []Share{{Name: "home", Comment: "files"}, {Name: "IPC$", Type: IPC | Special}} },
		NameOf: func(p security.Principal) (string, bool) {
			return "alice", p == security.Principal{Kind: security.User, ID: 1000}
		},
	}
}

// bindSrvsvc is the bind of a Windows client: NDR, and the bind-time features that it proposes besides.
var bindSrvsvc = unhex("0500 0b 03 10000000 7400 0000 02000000 b810 b810 00000000 02000000" +
	"0000 0100 c84f324b7016d30112785a47bf6ee188 03000000 045d888aeb1cc9119fe808002b104860 02000000" +
	"0100 0100 c84f324b7016d30112785a47bf6ee188 03000000 2c1cb76c12984045 0300000000000000 01000000")

func bound(t *testing.T, name string, bind []byte) *Pipe {
	t.Helper()
	p, err := Open(name, testServer())
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Transact(bind, 4096)
	if err != nil || got[2] != pduBindAck {
		t.Fatalf("%x, %v", got, err)
	}
	return p
}

func TestBind(t *testing.T) {
	p, err := Open(`\PIPE\SRVSVC`, testServer())
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Transact(bindSrvsvc, 4096)
	want := unhex("0500 0c 03 10000000 5c00 0000 02000000 b810 b810 f0530000 0d00 5c504950455c73727673766300 00" +
		"02000000 0000 0000 045d888aeb1cc9119fe808002b104860 02000000 0200 0200 00000000000000000000000000000000 00000000")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v\n%x", got, err, want)
	}
	other := bytes.Clone(bindSrvsvc)
	other[32] ^= 1
	p, _ = Open("srvsvc", testServer())
	if got, err := p.Transact(other, 4096); err != nil || got[44] != 2 || got[46] != 1 {
		t.Errorf("another interface: %x, %v", got, err)
	}
	withAuth := bytes.Clone(bindSrvsvc)
	withAuth[10] = 8
	p, _ = Open("srvsvc", testServer())
	if got, err := p.Transact(withAuth, 4096); err != nil || got[2] != pduBindNak || got[16] != reasonAuth {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := Open("spoolss", testServer()); err != ntstatus.ObjectNameNotFound {
		t.Error(err)
	}
}

func request(op uint16, flags byte, stub []byte) []byte {
	b := pdu(pduRequest, flags, 7)
	b = le.AppendUint32(b, uint32(len(stub)))
	b = le.AppendUint16(le.AppendUint16(b, 0), op)
	return finish(append(b, stub...))
}

func wide(s string) string {
	w := &writer{}
	w.string(s)
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
	return hex.EncodeToString(w.b)
}

func enumStub(level byte) []byte {
	l := fmt.Sprintf("%02x000000", level)
	return unhex("00000200" + wide(`\\GATE`) + l + l + "04000200 00000000 00000000 ffffffff 08000200 00000000")
}

// NetrShareEnum at level 1, as [C706] 14 lays it out: names and remarks behind the array.
func TestShareEnum(t *testing.T) {
	p := bound(t, "srvsvc", bindSrvsvc)
	got, err := p.Transact(request(15, 3, enumStub(1)), 4096)
	want := "01000000 01000000 00000200 02000000 04000200 02000000" +
		"08000200 00000000 0c000200 10000200 03000080 14000200" +
		wide("home") + wide("files") + wide("IPC$") + wide("") + "02000000 18000200 00000000 00000000"
	if err != nil || !bytes.Equal(got[24:], unhex(want)) || got[2] != pduResponse || got[3] != 3 {
		t.Errorf("%x, %v", got, err)
	}
	for _, level := range []byte{0, 2} {
		if got, err := p.Transact(request(15, 3, enumStub(level)), 4096); err != nil || le.Uint32(got[len(got)-4:]) != 0 || got[24] != level {
			t.Errorf("%d: %x, %v", level, got, err)
		}
	}
	if got, err := p.Transact(request(15, 3, enumStub(77)), 4096); err != nil || le.Uint32(got[len(got)-4:]) != resultInvalidLevel {
		t.Errorf("%x, %v", got, err)
	}
}

func TestGetInfo(t *testing.T) {
	p := bound(t, "srvsvc", bindSrvsvc)
	ask := func(op uint16, stub string) []byte {
		got, err := p.Transact(request(op, 3, unhex(stub)), 4096)
		if err != nil || got[2] != pduResponse {
			t.Fatalf("%x, %v", got, err)
		}
		return got[24:]
	}
	if got := ask(16, "00000000"+wide("HOME")+"01000000"); !bytes.Equal(got, unhex("01000000 00000200 04000200 00000000 08000200"+wide("home")+wide("files")+"00000000")) {
		t.Errorf("%x", got)
	}
	if got := ask(16, "00000000"+wide("none")+"01000000"); !bytes.Equal(got, unhex("01000000 00000000 06090000")) {
		t.Errorf("%x", got)
	}
	if got := ask(16, "00000000"+wide("home")+"63000000"); !bytes.Equal(got, unhex("63000000 00000000 7c000000")) {
		t.Errorf("%x", got)
	}
	for _, level := range []string{"02", "f501", "f601", "ed03"} {
		if got := ask(16, "00000000"+wide("home")+(level + "000000")[:8]); le.Uint32(got[len(got)-4:]) != 0 {
			t.Errorf("%s: %x", level, got)
		}
	}
	if got := ask(21, "00000000 65000000"); !bytes.Equal(got, unhex("65000000 00000200 f4010000 04000200 0a000000 00000000 03900000 08000200"+wide("GATE")+wide("a gateway")+"00000000")) {
		t.Errorf("%x", got)
	}
	if got := ask(28, "00000000"); !bytes.Equal(got, unhex("00000200 2783e065 f85000f5 0d000000 0e000000 0f000000 10000000 00000000 36010000 1d000000 02000000 e8070000 04000000 00000000")) {
		t.Errorf("%x", got)
	}
	wkssvcBind := bytes.Replace(bindSrvsvc, srvsvc.syntax.uuid[:], wkssvc.syntax.uuid[:], 2)
	wkssvcBind[48], wkssvcBind[92] = 1, 1
	p = bound(t, "wkssvc", wkssvcBind)
	if got := ask(0, "00000000 64000000"); !bytes.Equal(got, unhex("64000000 00000200 f4010000 04000200 08000200 0a000000 00000000"+wide("GATE")+wide("WORKGROUP")+"00000000")) {
		t.Errorf("%x", got)
	}
}

// Requests in fragments, cut anywhere by writes; answers in fragments, read in pieces.
func TestFragments(t *testing.T) {
	p := bound(t, "srvsvc", bindSrvsvc)
	many := testServer()
	many.Shares = func() (list []Share) {
		for i := range 300 {
			list = append(list, Share{Name: fmt.Sprintf("share%03d", i), Comment: "one of many"})
		}
		return list
	}
	p.server = many
	stub := enumStub(1)
	stream := append(request(15, flagFirst, stub[:20]), request(15, 0, stub[20:40])...)
	stream = append(stream, request(15, flagLast, stub[40:])...)
	for _, b := range stream {
		if err := p.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	var whole []byte
	for messages := 0; ; {
		got, err := p.Read(100)
		if err == ntstatus.PipeEmpty {
			if messages < 5 || p.waiting != 0 {
				t.Error(messages, p.waiting)
			}
			break
		}
		whole = append(whole, got...)
		if err == nil {
			messages++
		} else if err != ntstatus.BufferOverflow || len(got) != 100 {
			t.Fatal(len(got), err)
		}
	}
	var answer []byte
	for first := true; len(whole) > 0; first = false {
		n := int(le.Uint16(whole[8:]))
		if last := n == len(whole); (whole[3]&flagFirst != 0) != first || (whole[3]&flagLast != 0) != last || n > maxFragment {
			t.Fatalf("%x", whole[:24])
		}
		answer, whole = append(answer, whole[24:n]...), whole[n:]
	}
	if le.Uint32(answer[12:]) != 300 || le.Uint32(answer[len(answer)-4:]) != 0 {
		t.Errorf("%x", answer)
	}
}

func TestFaults(t *testing.T) {
	p := bound(t, "srvsvc", bindSrvsvc)
	fault := func(req []byte) uint32 {
		got, err := p.Transact(req, 4096)
		if err != nil || got[2] != pduFault || len(got) != 32 {
			t.Fatalf("%x, %v", got, err)
		}
		return le.Uint32(got[24:])
	}
	if got := fault(request(99, 3, nil)); got != faultOperation {
		t.Errorf("%x", got)
	}
	if got := fault(request(15, 3, make([]byte, 7))); got != faultStub {
		t.Errorf("%x", got)
	}
	elsewhere := request(15, 3, enumStub(1))
	elsewhere[20] = 9
	if got := fault(elsewhere); got != faultContext {
		t.Errorf("%x", got)
	}
	for name, bad := range map[string][]byte{
		"version": append([]byte{4}, bindSrvsvc[1:]...), "kind": finish(pdu(77, 3, 1)), "big endian": append([]byte{5, 0, 0, 3, 0}, make([]byte, 20)...),
		"length": append([]byte{5, 0, 0, 3, 0x10, 0, 0, 0, 15, 0}, make([]byte, 20)...), "no first": request(15, flagLast, nil),
		"too long": bytes.Repeat(request(15, 0, make([]byte, 4000)), 20), "answer": finish(pdu(pduResponse, 3, 1)),
	} {
		p := bound(t, "srvsvc", bindSrvsvc)
		if name == "too long" {
			if err := p.Write(request(15, flagFirst, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Write(bad); err != ntstatus.PipeDisconnected {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Read(10); err != ntstatus.PipeDisconnected {
			t.Errorf("%s: %v", name, err)
		}
	}
	p = bound(t, "srvsvc", bindSrvsvc)
	var err error
	for i := 0; i < 100000 && err == nil; i++ {
		err = p.Write(request(15, 3, enumStub(1)))
	}
	if err != ntstatus.PipeBusy {
		t.Error("answers that nobody reads:", err)
	}
}

func TestLookupSIDs(t *testing.T) {
	for name, stub := range map[string][]byte{
		"count": append(bytes.Clone(policyHandle[:]), unhex("05000000 00000200 04000000")...), "many": append(bytes.Clone(policyHandle[:]), unhex("ffffff7f 00000200 ffffff7f")...),
		"subs": append(bytes.Clone(policyHandle[:]), unhex("01000000 00000200 01000000 04000200 ffffffff")...), "cut": sidStub(security.Everyone)[:40],
	} {
		in, out := &reader{b: stub}, &writer{}
		if lookupSIDs(testServer(), in, out, false); !in.bad {
			t.Errorf("%s: %x", name, out.b)
		}
	}
}

func FuzzLookupSIDs(f *testing.F) {
	f.Add(sidStub(security.UserSID(1000), security.Everyone))
	f.Fuzz(func(t *testing.T, stub []byte) {
		in, out := &reader{b: stub}, &writer{}
		lookupSIDs(testServer(), in, out, true)
		if len(out.b) > 4096+400*maxLookup {
			t.Fatal(len(out.b))
		}
	})
}

func FuzzPipe(f *testing.F) {
	f.Add(request(15, 3, enumStub(1)), uint16(100))
	f.Add(request(16, 3, unhex("00000000"+wide("HOME")+"01000000")), uint16(10))
	f.Add(bindSrvsvc, uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		p, _ := Open("srvsvc", testServer())
		if err := p.Write(bindSrvsvc); err != nil {
			t.Fatal(err)
		}
		n := min(int(cut), len(in))
		if p.Write(in[:n]) == nil {
			_ = p.Write(in[n:])
		}
		for range 1000 {
			if _, err := p.Read(int(cut) + 1); err != nil && err != ntstatus.BufferOverflow {
				break
			}
		}
		if p.waiting < 0 || len(p.in) > 1<<16+len(in) {
			t.Fatal(p.waiting, len(p.in))
		}
	})
}

// TestRefusedCalls: who asks for what only administrators are told, for a level or an operation that there is not, or for names of a kind that
// is not known here, is told so.
func TestRefusedCalls(t *testing.T) {
	name := func(text string, kind, flags uint32) []byte {
		w := &writer{}
		w.u32(0)
		w.string(text)
		w.u32(kind, flags)
		return w.b
	}
	level := func(texts int, level uint32) []byte {
		w := &writer{}
		for range 1 + texts {
			w.u32(0)
		}
		w.u32(level, level, 0, unlimited, 0)
		return w.b
	}
	for _, c := range []struct {
		op   uint16
		stub []byte
		want uint32
	}{
		{8, level(1, 1), resultAccessDenied}, {8, level(1, 2), resultInvalidLevel},
		{9, level(2, 3), resultAccessDenied}, {9, level(2, 1), resultInvalidLevel},
		{12, level(2, 1), resultAccessDenied}, {12, level(2, 3), resultInvalidLevel},
		{33, name("home", 9, 0), 0}, {33, name("ho/me", 9, 0), resultInvalidName}, {33, name("", 9, 0), resultInvalidName},
		{33, name(strings.Repeat("x", 80), 9, 0), 0}, {33, name(strings.Repeat("x", 81), 9, 0), resultInvalidName},
		{33, name(strings.Repeat("x", 13), 9, 0x80000000), resultInvalidName},
		{33, name("home", 1, 0), resultNotSupported}, {33, name("home", 14, 0), resultInvalidParameter}, {33, name("home", 9, 1), resultInvalidParameter},
	} {
		p, err := Open("srvsvc", testServer())
		if err != nil {
			t.Fatal(err)
		}
		p.contexts[0] = true
		got, err := p.Transact(request(c.op, 3, c.stub), 1<<16)
		if err != nil || got[2] != pduResponse || le.Uint32(got[len(got)-4:]) != c.want {
			t.Errorf("%d with %x: %x, %v; want %d", c.op, c.stub, got, err, c.want)
		}
	}
	p, _ := Open("srvsvc", testServer())
	p.contexts[0] = true
	if got, err := p.Transact(request(60, 3, nil), 1<<16); err != nil || got[2] != pduFault || le.Uint32(got[24:]) != faultOperation {
		t.Errorf("an operation that there is not: %x, %v", got, err)
	}
}
