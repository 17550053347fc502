package smb

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/rpcpipe"
	"causeway/gateway/smb/wire"
)

// open is an open file, directory or pipe ([MS-SMB2] 3.3.1.10).
type open struct {
	id      wire.FileID
	session *session
	uid     uint32 // of the user who opened it
	tree    *tree
	handle  causeway.Handle
	dir     bool
	symlink bool
	pipe    *rpcpipe.Pipe // not nil: neither handle nor names

	access, share, options uint32
	maximal                uint32         // what the user may have on it
	owner                  causeway.Owner // of its byte-range locks
	lease                  causeway.LeaseID
	allocation             uint64        // that its creator asked for, in bytes
	leaseVersion           int           // of the context that made the lease
	keep                   time.Duration // how long it outlives its connection
	guid                   [16]byte      // with which it was created; zero: none
	creation               creation
	appInstance            [16]byte // of the application that has it open; zero: none

	listing sync.Mutex // taken while a directory is listed
	scan    scan       // guarded by listing

	mu        sync.Mutex
	parent    causeway.Handle // zero at the root of the share
	path      []string        // stored names from the root of the share on
	watch     watch
	lockWaits []lockWait
	sequences *lockSequences
	early     []causeway.Span   // granted before anybody waited
	refused   []causeway.Span   // granted when nobody waited any more, and not told yet
	verifier  causeway.Verifier // of the first write that no FLUSH followed
	unstable  bool
	writes    uint64 // unstable ones, ever
	lost      bool   // a later one had another verifier
	mode      uint32
	announced bool             // its client knows of it
	breaks    []*gateway.Break // that it is told of when it does
	sequence  sequence

	dirty      atomic.Bool // data was written through it
	replayable atomic.Bool // its CREATE may be repeated
	deleting   atomic.Bool // its last close removes the name, as far as this server knows
	position   atomic.Uint64
	closed     atomic.Bool
}

// newOpen is an open as the engines have given it.
func newOpen(opened *gateway.Opened) *open {
	return &open{
		id: fileID(opened.ID), handle: opened.Handle, owner: opened.Owner, lease: opened.Lease.ID, access: uint32(opened.Access), keep: opened.Keep,
		dir: opened.Attr.Type == causeway.TypeDirectory, symlink: opened.Attr.Type == causeway.TypeSymlink,
	}
}

// register makes session and server know an open. If they cannot, it is closed again.
func (m *message) register(o *open) error {
	s := m.ch.session
	o.session, o.tree, o.uid = s, m.tree, m.caller.Cred.UID
	tooMany := false
	if o.pipe == nil { // before the session, whose end closes it
		tooMany = s.srv.files.full(o.uid, o.handle, &s.srv.cfg)
		s.srv.files.add(o)
	}
	s.mu.Lock()
	full := tooMany || s.gone || len(s.opens) >= s.srv.cfg.MaxOpens || s.pipes >= maxPipes && o.pipe != nil
	if !full {
		s.opens[o.id] = o
	}
	if o.pipe != nil {
		s.pipes++
	}
	s.mu.Unlock()
	if full {
		o.end(m.conn.ctx)
		return ntstatus.InsufficientResources
	}
	m.open = o
	return nil
}

// find sets m.open to the open that a request names; in a related element all ones mean that of the element before.
func (m *message) find(id wire.FileID) error {
	if m.h.Flags&wire.FlagRelated != 0 && id == wire.AnyFile {
		if m.related.failed != nil {
			return m.related.failed
		}
		if !m.related.hasFile {
			return ntstatus.FileClosed
		}
		id = m.related.file
	}
	s := m.ch.session
	s.mu.Lock()
	o := s.opens[id]
	s.mu.Unlock()
	if o == nil || o.tree != m.tree {
		return ntstatus.FileClosed
	}
	if err := m.count(o); err != nil {
		return err
	}
	s.srv.files.used(o)
	m.open = o
	m.caller.Open = o.openID()
	m.caller.Owner = o.owner
	return nil
}

// fileID is an open's id as clients see it.
func fileID(id causeway.OpenID) wire.FileID {
	return wire.FileID{Persistent: le.Uint64(id[:]), Volatile: le.Uint64(id[8:])}
}

func (o *open) openID() (id causeway.OpenID) {
	le.PutUint64(id[:], o.id.Persistent)
	le.PutUint64(id[8:], o.id.Volatile)
	return id
}

// end closes the open, once: locks go, and the name too if it was to be removed.
func (o *open) end(ctx context.Context) error { return o.finish(ctx, false) }

// part ends the open for its client, whose connection has ended; if it was promised, it is kept for him.
func (o *open) part(ctx context.Context) { o.finish(ctx, o.keep > 0) }

func (o *open) finish(ctx context.Context, keep bool) error {
	if o.closed.Swap(true) {
		return ntstatus.FileClosed
	}
	s := o.session
	s.mu.Lock()
	delete(s.opens, o.id)
	if o.pipe != nil {
		s.pipes--
	}
	s.mu.Unlock()
	if o.pipe != nil {
		return nil
	}
	cfg := &s.srv.cfg
	o.unwatch(cfg)
	o.cancelWaits()
	if keep { // before it is dropped: a client that is back already finds the one or the other
		s.srv.files.keep(o, s.srv.cfg.Now())
	}
	s.srv.files.drop(o)
	inside := cfg.Enter()
	defer inside.Leave()
	caller := gateway.Caller{Cred: s.cred(), Open: o.openID(), Owner: o.owner, ReadOnly: o.tree.share.ReadOnly}
	if keep {
		if err := cfg.Access.Disconnect(ctx, &caller, o.handle, o.openID()); err == nil {
			s.srv.files.parted(o.openID())
			return nil
		}
		s.srv.files.lost(o.openID())
	}
	if o.dir && o.dooms() {
		s.srv.files.setDelete(o, true)
		s.srv.files.doomed(o.handle)
	}
	caller.Wrote = o.dirty.Load()
	if _, err := cfg.Access.Close(ctx, &caller, o.handle, o.openID()); err != nil {
		cfg.Logger.Debug("open ended badly", "op", "close", "volume", o.tree.name, "err", err)
	}
	return nil
}

// place returns the directory and the name of the open; no name at the root of the share.
func (o *open) place() (parent causeway.Handle, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.path) == 0 {
		return causeway.Handle{}, ""
	}
	return o.parent, o.path[len(o.path)-1]
}

// name is the last component, and wirePath the whole path as clients see it.
func (o *open) name() string {
	_, name := o.place()
	return name
}

func (o *open) wirePath() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return names.AppendPath(nil, o.path)
}

// moved tells the open that its name has changed.
func (o *open) moved(parent causeway.Handle, path []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parent, o.path = parent, slices.Clone(path)
}

// needs returns AccessDenied unless the open was granted one of the rights.
func (o *open) needs(any uint32) error {
	if o.access&any == 0 {
		return ntstatus.AccessDenied
	}
	return nil
}
