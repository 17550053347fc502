package smb

import (
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// maxNotices bounds what is remembered of the changes of a watched directory while its client does not ask.
const maxNotices = 1024

// maxNoticeBytes bounds it for a session, and maxAllNotices for all: beyond, clients are told to look for themselves.
const (
	maxNoticeBytes = 4 << 20
	maxAllNotices  = 256 << 20
	noticeSize     = 96 // what one takes beside its name
)

// watch is what an open directory knows of its changes. It is guarded by the open's lock.
type watch struct {
	on      bool
	notices []fscc.Notice
	held    int64 // bytes of notices, as they are counted
	missed  bool
	waiting []notifyWait // in order
	timer   *time.Timer  // not nil: they are about to be answered
}

// notifyWait is a request that waits for changes, and has room for so many bytes of them.
type notifyWait struct {
	p    *pending
	room int
}

// noticesTogether is how long an answer waits for changes that come together, like those of a file that is written anew.
const noticesTogether = 10 * time.Millisecond

// maxNotifyWaits bounds the requests that wait on one open.
const maxNotifyWaits = 64

// changeNotify is [MS-SMB2] 3.3.5.19: changes that were collected, or an answer when there is one.
func (m *message) changeNotify() error {
	var r wire.ChangeNotifyRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if r.Room > maxTransfer || !m.affords(r.Room) {
		return ntstatus.InvalidParameter
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	o := m.open
	switch {
	case o.pipe != nil || !o.dir || r.Filter == 0:
		return ntstatus.InvalidParameter
	case o.access&wire.AccessReadData == 0:
		return ntstatus.AccessDenied
	case len(m.rest) > 0:
		return ntstatus.InternalError
	}
	if err := m.watch(o, &r); err != nil { // on the reader's goroutine, so that requests wait in their order
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &o.watch
	if len(w.notices) > 0 || w.missed {
		return m.appendNotices(w, int(r.Room))
	}
	if o.deleting.Load() {
		return ntstatus.DeletePending
	}
	if len(w.waiting) >= maxNotifyWaits {
		return ntstatus.InsufficientResources
	}
	var p *pending
	p, err := m.suspend(func() {
		o.mu.Lock()
		o.watch.waiting = slices.DeleteFunc(o.watch.waiting, func(n notifyWait) bool { return n.p == p })
		o.mu.Unlock()
	})
	if err != nil {
		return err
	}
	w.waiting = append(w.waiting, notifyWait{p, int(r.Room)})
	return ntstatus.Pending
}

// watch makes the engines collect changes from the first request on.
func (m *message) watch(o *open, r *wire.ChangeNotifyRequest) error {
	o.mu.Lock()
	on := o.watch.on
	o.mu.Unlock()
	if on {
		return nil
	}
	id, deep := gateway.WatchID{Owner: o.owner, Open: o.openID()}, r.Flags&wire.WatchTree != 0
	if err := m.conn.srv.cfg.Access.Watch(m.conn.ctx, &m.caller, o.handle, id, gateway.NoticeFilter(r.Filter&fscc.NotifyAll), deep); err != nil {
		return err
	}
	o.mu.Lock()
	o.watch.on = true
	o.mu.Unlock()
	if o.closed.Load() { // meanwhile, and nobody else ends it
		o.unwatch(&m.conn.srv.cfg)
		return ntstatus.FileClosed
	}
	return nil
}

// unwatch ends the collecting.
func (o *open) unwatch(cfg *Config) {
	o.mu.Lock()
	on := o.watch.on
	o.watch.on = false
	o.dropNotices()
	o.mu.Unlock()
	if on {
		cfg.Access.Unwatch(o.session.srv.ctx, o.handle, gateway.WatchID{Owner: o.owner, Open: o.openID()})
	}
}

// appendNotices appends what was collected, and forgets it. It is called with the open's lock.
func (m *message) appendNotices(w *watch, room int) error {
	at := len(m.b)
	m.reserve(wire.OutputSize)
	m.b = m.b[:at+wire.OutputSize]
	notices, missed := w.notices, w.missed
	w.missed = false
	m.open.dropNotices()
	var err error = ntstatus.NotifyEnumDir
	if !missed {
		m.b, err = fscc.AppendNotices(m.b, notices, room)
	}
	wire.PutOutput(m.b[at:], uint32(len(m.b)-at-wire.OutputSize))
	return err
}

// noticed takes changes that the engines tell of.
func (o *open) noticed(notices []gateway.Notice, missed bool) {
	o.mu.Lock()
	w := &o.watch
	if !w.on {
		o.mu.Unlock()
		return // it is closed
	}
	for _, n := range notices {
		if missed = missed || w.missed || len(w.notices) == maxNotices || !o.holdNotice(int64(noticeSize+2*len(n.Name))); missed {
			break
		}
		w.notices = append(w.notices, fscc.Notice{Action: fscc.Action(n.Action), Path: strings.Split(n.Name, "/")})
	}
	if w.missed = w.missed || missed; w.missed {
		o.dropNotices()
	}
	if len(w.waiting) > 0 && w.timer == nil && (len(w.notices) > 0 || w.missed) {
		w.timer = time.AfterFunc(noticesTogether, o.tellNotices)
	}
	o.mu.Unlock()
}

// holdNotice counts a notice; false: there is no room for it. It is called with the open's lock.
func (o *open) holdNotice(n int64) bool {
	here, all := &o.session.notices, &o.session.srv.notices
	o.watch.held += n
	inSession, inAll := here.Add(n), all.Add(n)
	return inSession <= maxNoticeBytes && inAll <= maxAllNotices // who has none forgets what he holds
}

// dropNotices forgets what was collected. It is called with the open's lock.
func (o *open) dropNotices() {
	o.session.notices.Add(-o.watch.held)
	o.session.srv.notices.Add(-o.watch.held)
	o.watch.notices, o.watch.held = nil, 0
}

// tellNotices answers who waits longest with what has come.
func (o *open) tellNotices() {
	o.mu.Lock()
	w := &o.watch
	w.timer = nil
	var next notifyWait
	if len(w.waiting) > 0 && (len(w.notices) > 0 || w.missed) {
		next, w.waiting = w.waiting[0], w.waiting[1:]
	}
	o.mu.Unlock()
	if next.p == nil {
		return
	}
	next.p.finish(nil, func(m *message) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		return m.appendNotices(&o.watch, next.room)
	})
}

// doomed ends the waits for changes of directories that are to be removed: nothing will happen there any more.
func (f *files) doomed(h causeway.Handle) {
	f.mu.Lock()
	opens := slices.Clone(f.byHandle[h])
	f.mu.Unlock()
	for _, o := range opens {
		o.mu.Lock()
		waits := o.watch.waiting
		o.watch.waiting = nil
		o.mu.Unlock()
		for _, n := range waits {
			n.p.finish(ntstatus.DeletePending, nil)
		}
	}
}
