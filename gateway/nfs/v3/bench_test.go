package v3_test

import (
	"bytes"
	"context"
	"net/netip"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/gateway/nfs/xdr"
)

// still answers at once and always the same: what is measured is the front.
type still struct {
	gateway.Namespace
	gateway.Transfer
	attr causeway.Attr
}

func (e *still) GetAttr(context.Context, *gateway.Caller, causeway.Handle) (causeway.Attr, error) {
	return e.attr, nil
}

func (e *still) Lookup(_ context.Context, _ *gateway.Caller, dir causeway.Handle, _ string) (gateway.Entry, causeway.Attr, error) {
	return gateway.Entry{Handle: dir, Attr: e.attr}, e.attr, nil
}

func (e *still) Access(_ context.Context, _ *gateway.Caller, _ causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error) {
	return want, e.attr, nil
}

func (e *still) Read(_ context.Context, _ *gateway.Caller, _ causeway.Handle, _ uint64, dst []byte) (gateway.ReadResult, error) {
	return gateway.ReadResult{N: len(dst), Attr: e.attr}, nil
}

func (e *still) Write(_ context.Context, _ *gateway.Caller, _ causeway.Handle, _ uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	return gateway.WriteResult{N: len(data), Stable: how, Change: causeway.Change{Before: e.attr, After: e.attr}}, nil
}

// hotCalls are the calls that must not allocate.
func hotCalls(t testing.TB) (*v3.Server, map[string]func() *rpc.Call) {
	t.Helper()
	v := &causeway.Volume{
		ID: 1, Name: "v", Keys: []causeway.HandleKey{{ID: 1}},
		Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), AnonUID: causeway.Nobody}},
	}
	cat := &gateway.Catalog{}
	if err := cat.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	replies, err := drc.New(drc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := &still{attr: causeway.Attr{Type: causeway.TypeRegular, Mode: 0o644, Nlink: 1}}
	server, err := v3.New(v3.Config{Guard: &export.Guard{Catalog: cat}, Access: e, Transfer: e, Replies: replies})
	if err != nil {
		t.Fatal(err)
	}
	h := nfsv3.NfsFh3{Data: fh.Append(nil, v, causeway.ObjectID{1})}
	calls := map[string]func() *rpc.Call{}
	for name, sample := range map[string]struct {
		proc uint32
		args encodable
	}{
		"GETATTR":     {getAttr, &nfsv3.Getattr3args{Object: h}},
		"LOOKUP":      {lookup, &nfsv3.Lookup3args{What: at(h, "some name")}},
		"ACCESS":      {access3, &nfsv3.Access3args{Object: h, Access: 63}},
		"READ 4 KiB":  {read, &nfsv3.Read3args{File: h, Count: 4096}},
		"WRITE 4 KiB": {write, &nfsv3.Write3args{File: h, Count: 4096, Data: make([]byte, 4096)}},
	} {
		wire := encode(t, sample.args)
		c := &rpc.Call{
			XID: 1, Prog: v3.Program, Vers: v3.Version, Proc: sample.proc, Flavor: rpc.AuthSys, NoWait: true,
			Remote: netip.MustParseAddrPort("127.0.0.1:700"), Cred: causeway.Cred{UID: 0, GID: 5, Groups: []uint32{0, 5, 6}},
		}
		buf := make([]byte, 0, 16<<10)
		calls[name] = func() *rpc.Call {
			c.Args, c.Reply = xdr.NewDecoder(wire), xdr.NewEncoder(buf)
			return c
		}
	}
	return server, calls
}

func TestNoAllocation(t *testing.T) {
	server, calls := hotCalls(t)
	ctx := context.Background()
	for name, call := range calls {
		if n := testing.AllocsPerRun(100, func() {
			c := call()
			if server.Handle(ctx, c) != rpc.Done || !bytes.Equal(c.Reply.Bytes()[:4], make([]byte, 4)) {
				t.Fatal(name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	server, calls := hotCalls(b)
	ctx := context.Background()
	for name, call := range calls {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if server.Handle(ctx, call()) != rpc.Done {
					b.Fatal(name)
				}
			}
		})
	}
}
