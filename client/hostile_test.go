package client_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"causeway"
	"causeway/client"
	"causeway/client/clientpb"
)

// hostile is a gateway that answers as it likes.
type hostile struct {
	clientpb.UnimplementedFilesServer
	names  []string
	cookie func(asked uint64) uint64
	data   int // how much more than was asked for a read returns
}

func (h *hostile) attr() *clientpb.Attr {
	return &clientpb.Attr{Type: uint32(causeway.TypeDirectory), Mode: 0o755, Nlink: 1}
}

func (h *hostile) Hello(context.Context, *clientpb.HelloRequest) (*clientpb.HelloReply, error) {
	return &clientpb.HelloReply{Version: 1, Node: "g1"}, nil
}

func (h *hostile) OpenVolume(context.Context, *clientpb.Request) (*clientpb.Reply, error) {
	return &clientpb.Reply{Handle: []byte("root"), Attr: h.attr()}, nil
}

func (h *hostile) Walk(_ context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return &clientpb.Reply{Handle: []byte("h"), Attr: h.attr(), Walked: uint32(len(r.Names))}, nil
}

func (h *hostile) ReadDir(_ context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	out := &clientpb.Reply{}
	for _, n := range h.names {
		out.Entries = append(out.Entries, &clientpb.DirEntry{Name: []byte(n), Cookie: h.cookie(r.Cookie)})
	}
	out.Eof = h.cookie(0) == 0
	return out, nil
}

func (h *hostile) Read(_ context.Context, r *clientpb.ReadRequest) (*clientpb.ReadReply, error) {
	return &clientpb.ReadReply{Data: make([]byte, int(r.Count)+h.data)}, nil
}

// TestHostileGateway: a gateway that lies makes calls fail, and nothing else.
func TestHostileGateway(t *testing.T) {
	h := &hostile{data: 100}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	clientpb.RegisterFilesServer(s, h)
	go s.Serve(l)
	defer s.Stop()
	c, err := client.Dial(background, client.Config{}, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Volume(background, "v")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	last := func(uint64) uint64 { return 0 }
	for _, name := range []string{"../../.bashrc", "/etc/passwd", "", "a\x00b"} {
		h.names, h.cookie = []string{"good", name}, last
		if list, err := v.ReadDir(ctx, "."); !errors.Is(err, causeway.ErrServerFault) {
			t.Errorf("%q is listed: %v, %v", name, list, err)
		}
	}
	h.names, h.cookie = []string{"again"}, func(uint64) uint64 { return 7 }
	if list, err := v.ReadDir(ctx, "."); !errors.Is(err, causeway.ErrServerFault) {
		t.Errorf("the same entry without end: %d, %v", len(list), err)
	}
	f, err := v.Open(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(make([]byte, 10), 0); n != 10 || err != nil {
		t.Errorf("more than was asked for: %d, %v", n, err)
	}
}
