package smb

import (
	"slices"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// How long an open is kept for a client whose connection has ended: if it does not say, and at most.
const (
	keptUsually = time.Minute
	keptAtMost  = 5 * time.Minute
)

func keptFor(asked time.Duration) time.Duration {
	if asked == 0 {
		return keptUsually
	}
	return min(asked, keptAtMost)
}

// durable reads the contexts about durable handles ([MS-SMB2] 3.3.5.9.6, 3.3.5.9.7, 3.3.5.9.10, 3.3.5.9.12), and refuses what contradicts
// itself.
func (m *message) durable(list []contexts.Context, c *caching) error {
	v1, v2 := contexts.Find(list, contexts.DurableRequest), contexts.Find(list, contexts.DurableV2Request)
	back1, back2 := contexts.Find(list, contexts.DurableReconnect), contexts.Find(list, contexts.DurableV2Reconnect)
	if m.conn.negotiated.dialect < wire.Dialect300 {
		v2, back2 = nil, nil
	}
	switch {
	case back1 != nil && (v2 != nil || back2 != nil),
		back2 != nil && (v1 != nil || v2 != nil),
		v1 != nil && v2 != nil:
		return ntstatus.InvalidParameter
	case back2 != nil:
		r, err := contexts.DecodeReconnectV2(back2.Data)
		if err != nil {
			return err
		}
		c.reconnect, c.version, c.file, c.guid = true, 2, r.File, r.CreateID
	case back1 != nil:
		file, err := contexts.DecodeReconnect(back1.Data)
		if err != nil {
			return err
		}
		c.reconnect, c.version, c.file = true, 1, file
	case v2 != nil:
		r, err := contexts.DecodeDurableV2(v2.Data)
		if err != nil {
			return err
		}
		c.durable, c.version, c.keep, c.guid = true, 2, r, r.CreateID
	case v1 != nil:
		if err := contexts.DecodeDurable(v1.Data); err != nil {
			return err
		}
		c.durable, c.version = true, 1
	}
	return nil
}

// keptOpen is what this server remembers of an open whose connection has ended. That it still is there the engines know.
type keptOpen struct {
	id         causeway.OpenID
	uid        uint32 // whose it is
	handle     causeway.Handle
	parent     causeway.Handle
	path       []string
	options    uint32
	mode       uint32
	guid       [16]byte
	client     string // whose GUID that is
	lease      causeway.LeaseID
	until      time.Time
	position   uint64
	allocation uint64
	sequences  *lockSequences
	parted     bool // the engines have been told; guarded by the files' mu
}

func (f *files) keep(o *open, now time.Time) {
	o.mu.Lock()
	k := &keptOpen{
		id: o.openID(), uid: o.uid, handle: o.handle, parent: o.parent, path: o.path, options: o.options, mode: o.mode, guid: o.guid, client: o.owner.Client, lease: o.lease,
		until: now.Add(o.keep + time.Minute), position: o.position.Load(), allocation: o.allocation, sequences: o.sequences,
	}
	o.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetKeptLocked(o.id.Persistent)
	f.kept[o.id.Persistent] = k
	f.moreLocked(k.uid, k.handle)
	if now.Sub(f.swept) > time.Minute {
		f.sweepLocked(now)
	}
}

// sweepLocked forgets what was kept once its time is over: of some the engines have not kept, and do not tell of it.
func (f *files) sweepLocked(now time.Time) {
	f.swept = now
	for id, k := range f.kept {
		if now.After(k.until) {
			f.forgetKeptLocked(id)
		}
	}
}

// parted notes that the engines have been told that an open is kept.
func (f *files) parted(id causeway.OpenID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := f.kept[fileID(id).Persistent]; k != nil {
		k.parted = true
	}
}

// lost forgets an open that was kept.
func (f *files) lost(id causeway.OpenID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetKeptLocked(fileID(id).Persistent)
}

func (f *files) forgetKeptLocked(id uint64) {
	if k := f.kept[id]; k != nil {
		delete(f.kept, id)
		f.lessLocked(k.uid, k.handle)
	}
}

// whichKept finds an open that was kept; nil if there is none. parting: it has not been kept yet, and will be.
func (f *files) whichKept(id causeway.OpenID) (k *keptOpen, parting bool) {
	f.mu.Lock()
	k, o := f.kept[fileID(id).Persistent], f.byID[id]
	parting = k != nil && !k.parted
	f.mu.Unlock()
	if parting || k != nil || o == nil || o.keep == 0 {
		return k, parting
	}
	return nil, o.session.left()
}

// left reports whether the session's client has ended its connections, as far as this machine knows, while the session lasts.
func (s *session) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(s.channels, func(ch *channel) bool { return !ch.conn.stopping.Load() && !hungUp(ch.conn.nc) })
}

// awaitKept waits until an open is kept whose connection is ending. A client may be here again before the end of its last connection was noticed.
func (m *message) awaitKept(id causeway.OpenID) (k *keptOpen, err error) {
	over := time.NewTimer(heldElsewhere)
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		k, parting := m.conn.srv.files.whichKept(id)
		if !parting {
			return k, nil
		}
		if err := m.mayWait(); err != nil {
			return nil, err
		}
		select {
		case <-again.C:
		case <-over.C:
			return nil, ntstatus.ObjectNameNotFound
		case <-m.conn.ctx.Done():
			return nil, m.conn.ctx.Err()
		}
	}
}

// reconnect gives a client back an open that its last connection had. What another server kept is found by its name.
func (m *message) reconnect(r *wire.CreateRequest, list []contexts.Context, asked *caching) error {
	k, err := m.awaitKept((&open{id: wire.FileID(asked.file)}).openID())
	if err != nil {
		return err
	}
	if k == nil || k.handle.Volume != m.tree.volume.ID {
		parts, err := m.splitPath(r.Name)
		if err != nil {
			return ntstatus.ObjectNameNotFound
		}
		p, err := m.walk(parts)
		if err != nil || !p.exists {
			if causeway.CodeOf(err) == causeway.ErrWouldBlock {
				return err
			}
			return ntstatus.ObjectNameNotFound
		}
		k = &keptOpen{
			id: (&open{id: wire.FileID(asked.file)}).openID(), handle: p.entry.Handle, parent: p.parent, path: p.path, options: r.Options,
			mode: r.Options & fscc.ModeMask, guid: asked.guid, client: m.caller.Owner.Client,
		}
	}
	if k.handle.Volume != m.tree.volume.ID || asked.version == 2 && k.guid != asked.guid {
		return ntstatus.ObjectNameNotFound
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	var lease causeway.LeaseID
	if asked.lease != nil {
		lease = causeway.LeaseID{Kind: causeway.Lease, Client: m.caller.Owner.Client, Key: asked.lease.Key}
	}
	if asked.lease != nil && lease == k.lease {
		if p, err := m.splitPath(r.Name); err != nil || !slices.Equal(p, k.path) {
			return ntstatus.InvalidParameter // only who has a lease must know the name, too
		}
	}
	files := &m.conn.srv.files
	files.opening.Add(1)
	defer files.settled()
	opened, err := m.renew(k, lease)
	if err != nil {
		if code := causeway.CodeOf(err); code == causeway.ErrBadOpen || code == causeway.ErrBusy {
			return ntstatus.ObjectNameNotFound
		}
		return err
	}
	files.lost(k.id)
	o := newOpen(&opened)
	o.parent, o.path, o.share, o.options, o.mode = k.parent, k.path, uint32(opened.Share), k.options, k.mode
	o.guid, o.creation, o.allocation, o.sequences = k.guid, creation{gateway.DidOpen, true}, k.allocation, k.sequences
	o.position.Store(k.position)
	if asked.lease != nil {
		o.leaseVersion = files.leaseVersion(o.lease, asked.lease.Version)
	}
	if err := m.register(o); err != nil {
		return err
	}
	opened.Action = gateway.DidOpen
	return m.appendCreate(list, o, &opened, asked)
}

// How long a client waits for an open that another gateway has for him, or another connection: a gateway that has died is known to be dead by then.
const (
	heldElsewhere = 10 * time.Second
	lookAgain     = 50 * time.Millisecond
)

// renew asks the engines for an open that is to be given back. A client whose gateway has died may be here before the others know of that.
func (m *message) renew(k *keptOpen, lease causeway.LeaseID) (gateway.Opened, error) {
	over := time.NewTimer(heldElsewhere)
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		opened, err := m.conn.srv.cfg.Access.Reconnect(m.conn.ctx, &m.caller, k.handle, k.id, k.guid, lease)
		if causeway.CodeOf(err) != causeway.ErrBusy {
			return opened, err
		}
		select {
		case <-again.C:
		case <-over.C:
			return opened, err
		case <-m.conn.ctx.Done():
			return opened, err
		}
	}
}
