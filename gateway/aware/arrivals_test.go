package aware_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway/aware"
)

// Types and flags of frames (RFC 9113 §6).
const (
	dataFrame, headersFrame, settingsFrame = 0, 1, 4
	endHeaders, acknowledged               = 4, 1
)

// frame is one of HTTP/2.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	f := binary.BigEndian.AppendUint32([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, stream)
	return append(f, payload...)
}

// fields are headers as HPACK has them, literally (RFC 7541 §6.2.2).
func fields(pairs ...string) (out []byte) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(append(out, 0, byte(len(pairs[i]))), pairs[i]...)
		out = append(append(out, byte(len(pairs[i+1]))), pairs[i+1]...)
	}
	return out
}

// half begins calls that write 1 MiB, and sends 16 KiB of each. It returns the connection, on which answers count what was answered.
func half(t *testing.T, at string, calls int) (c net.Conn, answers *atomic.Int64) {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	answers = &atomic.Int64{}
	if _, err := c.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settingsFrame, 0, 0, nil)...)); err != nil {
		t.Fatal(err)
	}
	var sent []byte
	head := fields(":method", "POST", ":scheme", "http", ":path", clientpb.Files_Write_FullMethodName, ":authority", "x", "content-type", "application/grpc", "te", "trailers")
	announced := binary.BigEndian.AppendUint32([]byte{0}, 1<<20)
	for i := range calls {
		id := uint32(1 + 2*i)
		sent = append(sent, frame(headersFrame, endHeaders, id, head)...)
		sent = append(sent, frame(dataFrame, 0, id, append(announced[:5:5], make([]byte, 16<<10-5)...))...)
	}
	go c.Write(sent) // it may take less than that
	go func() {
		for {
			h := make([]byte, 9)
			if _, err := io.ReadFull(c, h); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(h)>>8)); err != nil {
				return
			}
			switch {
			case h[3] == headersFrame:
				answers.Add(1)
			case h[3] == settingsFrame && h[4]&acknowledged == 0:
				c.Write(frame(settingsFrame, acknowledged, 0, nil))
			}
		}
	}()
	return c, answers
}

// TestArriving: requests that never come whole cost no more than their client's share, others are answered, and where room is short the client
// is hung up on.
func TestArriving(t *testing.T) {
	var now atomic.Int64
	const most, calls = 32, 100
	at, server := serve(t, func(c *aware.Config, _ *causeway.Volume) {
		c.MaxArriving, c.Lease = most, 80*time.Millisecond
		c.Now = func() time.Time { return time.Unix(1000+now.Load(), 0) }
	})
	f := connect(t, at, insecure.NewCredentials())
	made, err := f.Create(t.Context(), &clientpb.Request{Caller: me(1000), Handle: root(t, f), Name: []byte("f"), Type: uint32(causeway.TypeRegular), Op: op(1)})
	if err != nil || made.Code != 0 {
		t.Fatal(made, err)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("it never came about: %s (%d are held)", what, server.Arriving())
			}
		}
	}
	_, refused := half(t, at, calls)
	until("of its calls a share is held, and all others are to be made later", func() bool {
		return refused.Load() == calls-most/4 && server.Arriving() == most/4
	})
	data := make([]byte, 1<<20)
	for range 20 {
		if r, err := f.Write(t.Context(), &clientpb.WriteRequest{Caller: me(1000), Handle: made.Handle, Data: data}); err != nil || r.Code != 0 {
			t.Fatal(r, err)
		}
	}
	now.Add(60)
	until("it is hung up on", func() bool { return server.Arriving() == 0 })
}
