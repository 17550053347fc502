package v3_test

import (
	"bytes"
	"context"
	"testing"

	"causeway"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/gateway/nfs/xdr"
)

// TestVolumeThatStopsBeingAsync makes a change when the catalog still says that the volume is async and access knows better: a
// reload comes between. The change is not answered before it is stable.
func TestVolumeThatStopsBeingAsync(t *testing.T) {
	s := newSite(t, func(v *causeway.Volume) { v.Async = true })
	now := *s.volume
	now.Async = false
	s.names.Attach(&now, s.store)
	d := &disk{begun: make(chan []causeway.ObjectID), release: make(chan error)}
	server, err := v3.New(v3.Config{Guard: &export.Guard{Catalog: s.catalog}, Access: s.names, Transfer: s.engine, Persist: d})
	if err != nil {
		t.Fatal(err)
	}
	var e xdr.Encoder
	e.Opaque(s.root.Data)
	e.String("dir")
	for range 6 {
		e.Bool(false) // sattr3: nothing is set
	}
	c := s.caller
	c.Proc, c.NoWait = 9, true
	c.Args = xdr.NewDecoder(bytes.Clone(e.Bytes()))
	if v := server.Handle(context.Background(), &c); v != rpc.Park {
		t.Errorf("verdict %d, %d bytes of reply", v, c.Reply.Len())
	}
	if _, _, err := s.store.Lookup(t.Context(), s.store.Root(), "dir"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Error("it was made:", err)
	}
}
