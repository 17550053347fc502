package smb

import (
	"context"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// slowWatches are engines that begin to watch when something has happened meanwhile.
type slowWatches struct {
	unnamed
	meanwhile func()
	watched   map[gateway.WatchID]bool
}

func (s *slowWatches) Watch(ctx context.Context, c *gateway.Caller, dir causeway.Handle, id gateway.WatchID, filter gateway.NoticeFilter, deep bool) error {
	s.meanwhile()
	s.watched[id] = true
	return s.unnamed.Watch(ctx, c, dir, id, filter, deep)
}

func (s *slowWatches) Unwatch(ctx context.Context, dir causeway.Handle, id gateway.WatchID) error {
	delete(s.watched, id)
	return s.unnamed.Unwatch(ctx, dir, id)
}

// TestClosedWhileItBeginsToWatch: a directory that is closed while the engines are told to watch it is not watched for ever.
func TestClosedWhileItBeginsToWatch(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.send(t, r.request(wire.Create, 0, rootBody()))
	m, h := r.receive(t)
	if h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	id := wire.FileID{Persistent: le.Uint64(m[wire.HeaderSize+64:]), Volatile: le.Uint64(m[wire.HeaderSize+72:])}
	slow := &slowWatches{unnamed: r.srv.cfg.Access, watched: map[gateway.WatchID]bool{}}
	slow.meanwhile = func() {
		r.ses.mu.Lock()
		o := r.ses.opens[id]
		r.ses.mu.Unlock()
		if err := o.end(t.Context()); err != nil {
			t.Error(err)
		}
	}
	r.srv.cfg.Access = slow
	r.send(t, r.request(wire.ChangeNotify, 0, notifyBody(id)))
	if _, h := r.final(t); h.Status != ntstatus.FileClosed {
		t.Error(h.Status)
	}
	if len(slow.watched) > 0 {
		t.Error("it is watched still")
	}
}
