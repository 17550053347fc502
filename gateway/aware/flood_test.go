package aware_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/credentials/insecure"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway/aware"
	"causeway/internal/testcert"
)

// flood begins calls that never end, one after the other, each with frames of data of one size, until all are sent or the connection is lost.
func flood(nc net.Conn, calls, bytesOfCall, frame int) error {
	var out, head bytes.Buffer
	out.WriteString(http2.ClientPreface)
	frames, pack := http2.NewFramer(&out, nil), hpack.NewEncoder(&head)
	err := frames.WriteSettings()
	for i := range calls {
		head.Reset()
		for _, f := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", clientpb.Files_Write_FullMethodName}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"},
		} {
			err = errors.Join(err, pack.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		id := uint32(2*i + 1)
		err = errors.Join(err, frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true}),
			frames.WriteData(id, false, []byte{0, 0, 16, 0, 0})) // a message of 1 MiB follows
		for n, data := 5, make([]byte, frame); n+frame <= bytesOfCall && err == nil; n += frame {
			err = frames.WriteData(id, false, data)
		}
		if err == nil {
			_, err = out.WriteTo(nc)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPending: a client whose calls never end loses its connection before it has all memory, and no other one does.
func TestPending(t *testing.T) {
	cert, pool := testcert.New(t)
	for name, test := range map[string]struct {
		calls, bytesOfCall, frame int
		tls                       bool
	}{
		"calls": {calls: 200, bytesOfCall: 1 << 20, frame: 16 << 10}, "empty calls": {calls: 200, frame: 1},
		"small frames": {calls: 200, bytesOfCall: 8 << 10, frame: 1}, "TLS": {calls: 200, bytesOfCall: 1 << 20, frame: 16 << 10, tls: true},
	} {
		t.Run(name, func(t *testing.T) {
			at, s := serve(t, func(c *aware.Config, _ *causeway.Volume) {
				if c.MaxPending = 8 << 20; test.tls {
					c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
				}
			})
			if !test.tls {
				other := from(t, at, net.IPv4(127, 0, 0, 2))
				defer func() {
					if r, err := other.Ping(t.Context(), &clientpb.PingRequest{}); err != nil {
						t.Error("another client has lost its connection:", r, err)
					}
				}()
				handle := root(t, other)
				if r, err := other.Write(t.Context(), &clientpb.WriteRequest{Caller: me(1), Handle: handle, Data: make([]byte, 1<<20)}); err != nil {
					t.Fatal(r, err)
				}
			}
			lost := make(chan bool, 8)
			for range cap(lost) {
				nc, err := net.Dial("tcp", at)
				if err == nil && test.tls {
					nc = tls.Client(nc, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
				}
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(time.Minute))
				go func() {
					_, err := io.Copy(io.Discard, nc)
					lost <- !errors.Is(err, os.ErrDeadlineExceeded)
				}()
				if err = flood(nc, test.calls, test.bytesOfCall, test.frame); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				if got := s.Unanswered(); got > 12<<20 {
					t.Fatal(got, "bytes are held")
				}
			}
			if !<-lost {
				t.Error("nobody was hung up on")
			}
		})
	}
}

// TestAnsweredCalls: nothing is held any more for calls that were answered, given up or refused.
func TestAnsweredCalls(t *testing.T) {
	at, s := serve(t, nil)
	f := connect(t, at, insecure.NewCredentials())
	handle := root(t, f)
	for i := range 50 {
		if _, err := f.Write(t.Context(), &clientpb.WriteRequest{Caller: me(1), Handle: handle, Data: make([]byte, i<<12)}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.GetAttr(t.Context(), &clientpb.Request{Caller: me(1), Handle: handle}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(t.Context(), &clientpb.WriteRequest{Caller: me(1), Handle: handle, Data: make([]byte, 2<<20)}); err == nil {
			t.Fatal("it takes messages of any size")
		}
	}
	for begun := time.Now(); s.Unanswered() != 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal(s.Unanswered(), "bytes for calls that have ended")
		}
	}
}
