package rpcpipe

import (
	"testing"

	"causeway/gateway/smb/ntstatus"
)

// TestUnread: what a client does not read is bounded, and so is what it goes on to write.
func TestUnread(t *testing.T) {
	p, _ := Open("srvsvc", testServer())
	if err := p.Write(bindSrvsvc); err != nil {
		t.Fatal(err)
	}
	ask := request(15, 3, enumStub(1))
	busy := 0
	for range 20000 {
		if p.Write(ask) == ntstatus.PipeBusy {
			busy++
		}
	}
	if busy == 0 || p.waiting > maxWaiting+4096 || cap(p.in) > 1<<16 {
		t.Errorf("busy %d times, %d bytes to be read, %d bytes not looked at", busy, p.waiting, cap(p.in))
	}
	for {
		if _, err := p.Read(1 << 16); err != nil {
			break
		}
	}
	if err := p.Write(ask); err != nil {
		t.Error("after reading:", err)
	}
	p, _ = Open("srvsvc", testServer())
	_ = p.Write(bindSrvsvc)
	var many []byte
	for range 20000 {
		many = append(many, ask...)
	}
	if err := p.Write(many); err != ntstatus.PipeDisconnected || p.in != nil || p.out != nil {
		t.Error("all at once:", err)
	}
}
