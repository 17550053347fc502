package aware_test

import (
	"net"
	"testing"

	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"google.golang.org/grpc/credentials/insecure"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway/aware"
)

// FuzzCalls gives every handler what a client may send: any message that can be decoded, with a handle of the volume's root or without one.
func FuzzCalls(f *testing.F) {
	at, s := serve(f, func(c *aware.Config, _ *causeway.Volume) { c.MaxClients = 64 })
	handle := root(f, connect(f, at, insecure.NewCredentials()))
	for which := range byte(20) {
		for _, m := range []proto.Message{
			&clientpb.Request{Caller: me(1), Handle: handle, Name: []byte("a"), Op: op(which), Names: [][]byte{[]byte("a"), []byte("..")}, Count: 3, Handle2: handle, Name2: []byte("b"), Type: 1},
			&clientpb.ReadRequest{Caller: me(1), Handle: handle, Offset: 1 << 63, Count: 10}, &clientpb.WriteRequest{Caller: me(1), Handle: handle, Data: []byte("x")},
			&clientpb.LockRequest{Caller: me(1), Handle: handle, Offset: 1, Length: 1<<64 - 1},
		} {
			text, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(which, true, text)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, own bool, text []byte) {
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2000}})
		r, read, write, lock := &clientpb.Request{}, &clientpb.ReadRequest{}, &clientpb.WriteRequest{}, &clientpb.LockRequest{}
		for _, m := range []proto.Message{r, read, write, lock} {
			if proto.Unmarshal(text, m) != nil {
				proto.Reset(m)
			}
		}
		if own {
			r.Handle, read.Handle, write.Handle, lock.Handle = handle, handle, handle, handle
		}
		write.Offset %= 1 << 20 // the volume is in memory
		if r.Set != nil {
			r.Set.Size %= 1 << 20
		}
		lock.WaitMs %= 5
		requests := []func(){
			func() { s.OpenVolume(ctx, r) }, func() { s.Walk(ctx, r) }, func() { s.GetAttr(ctx, r) }, func() { s.SetAttr(ctx, r) }, func() { s.ReadDir(ctx, r) },
			func() { s.ReadLink(ctx, r) }, func() { s.Create(ctx, r) }, func() { s.Remove(ctx, r) }, func() { s.Rename(ctx, r) }, func() { s.Link(ctx, r) },
			func() { s.StatFS(ctx, r) }, func() { s.Commit(ctx, r) }, func() { s.Read(ctx, read) }, func() { s.Write(ctx, write) }, func() { s.Lock(ctx, lock) },
			func() { s.Unlock(ctx, lock) }, func() { s.TestLock(ctx, lock) }, func() { s.Renew(ctx, &clientpb.RenewRequest{Caller: lock.Caller, Leave: lock.Exclusive}) },
			func() { s.Hello(ctx, &clientpb.HelloRequest{Client: text}) }, func() { s.Ping(ctx, nil) },
		}
		requests[int(which)%len(requests)]()
		if out, err := s.GetAttr(ctx, &clientpb.Request{Caller: me(1000), Handle: handle}); err != nil || out.Code != 0 && out.Attr != nil {
			t.Fatal("the next caller is not answered", out, err)
		}
	})
}
