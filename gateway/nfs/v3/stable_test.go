package v3_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"causeway"
	"causeway/e2e/bench/nfs3"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/internal/gate"
)

// disk is a Persister whose syncs wait to be released.
type disk struct {
	begun   chan []causeway.ObjectID
	release chan error
}

func (d *disk) Persist(_ context.Context, _ causeway.VolumeID, ids ...causeway.ObjectID) error {
	d.begun <- ids
	return <-d.release
}

// TestChangesAreAnsweredWhenStable: a change is made at once and answered when a sync that began after it has ended; changes that
// come meanwhile share the next sync; a lost one is told, also to who
// sends it again.
func TestChangesAreAnsweredWhenStable(t *testing.T) {
	s := newSite(t)
	d := &disk{begun: make(chan []causeway.ObjectID), release: make(chan error)}
	replies, err := drc.New(drc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inside := &gate.Gate{}
	server, err := v3.New(v3.Config{
		Guard: &export.Guard{Catalog: s.catalog}, Access: s.names, Transfer: s.engine, Persist: d, Enter: func(causeway.VolumeID) gate.Pass { return inside.Enter() }, Replies: replies,
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.Register(v3.Program, v3.Version, server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go r.Serve(l)
	t.Cleanup(func() { r.Shutdown(context.Background()) })

	mkdir := func(xid uint32, name string) (status chan uint32) {
		status = make(chan uint32, 1)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c := nfs3.NewClient(conn, nfs3.Sys(0, 0))
		go func() {
			for range xid - 1 { // each call takes the next xid
				c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Null, nil)
			}
			reply, err := c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.MkDir, func(a *nfs3.Record) {
				a.Opaque(s.root.Data)
				a.Opaque([]byte(name))
				a.SetAttrs(0o755)
			})
			if err != nil {
				close(status)
				return
			}
			status <- reply.Uint32()
		}()
		return status
	}
	there := func(name string) bool {
		_, _, err := s.store.Lookup(t.Context(), s.store.Root(), name)
		return err == nil
	}
	silent := func(status chan uint32) {
		t.Helper()
		select {
		case st := <-status:
			t.Fatalf("answered %d before it was stable", st)
		case <-time.After(20 * time.Millisecond):
		}
	}

	first := mkdir(1, "first")
	if ids := <-d.begun; len(ids) != 2 || !there("first") {
		t.Errorf("the sync is about %d objects; made: %v", len(ids), there("first"))
	}
	var others []chan uint32
	for _, name := range []string{"a", "b", "c"} {
		others = append(others, mkdir(1, name))
	}
	for deadline := time.Now().Add(10 * time.Second); !there("a") || !there("b") || !there("c"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("changes wait for the sync of others before they are made")
		}
	}
	silent(first)
	left := make(chan error, 1)
	go func() { left <- inside.Wait(t.Context()) }()
	select {
	case <-left:
		t.Error("the storage could be closed under the sync")
	case <-time.After(20 * time.Millisecond):
	}
	d.release <- nil
	if st := <-first; st != 0 {
		t.Errorf("first: %d", st)
	}
	if ids := <-d.begun; len(ids) != 4 {
		t.Errorf("three changes of one directory: a sync about %d objects", len(ids))
	}
	silent(others[0])
	d.release <- nil
	for _, status := range others {
		if st := <-status; st != 0 {
			t.Errorf("status %d", st)
		}
	}

	if err := <-left; err != nil {
		t.Error(err)
	}

	lost := mkdir(1, "lost")
	<-d.begun
	d.release <- causeway.ErrIO
	if st := <-lost; st != 5 {
		t.Errorf("lost: %d", st)
	}
	if st := <-mkdir(1, "lost"); st != 5 {
		t.Errorf("lost, sent again: %d", st)
	}
	if st := <-mkdir(2, "lost"); st != 17 {
		t.Errorf("lost, tried again: %d", st)
	}

	for i, unsure := range []error{causeway.ErrStaleEpoch, causeway.ErrMoved, causeway.ErrClosed} {
		name := fmt.Sprint("unsure", i)
		status := mkdir(1, name)
		<-d.begun
		d.release <- unsure
		if st, answered := <-status; answered {
			t.Errorf("%v: answered %d", unsure, st)
		}
		if st := <-mkdir(1, name); st != 17 { // it is done again; who remembers changes for all gateways knows better
			t.Errorf("%v, sent again: %d", unsure, st)
		}
	}

	late := mkdir(1, "late")
	<-d.begun
	d.release <- causeway.ErrDelay // which a sync that failed may have become
	for range 2 {
		if st := <-late; st != 5 {
			t.Errorf("perhaps lost: %d", st)
		}
		late = mkdir(1, "late")
	}
}
