package smb

import (
	"slices"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// A client that has lost a connection, or one of several, repeats what it was not answered. A CREATE with a CreateGuid that has made an
// open makes no second one ([MS-SMB2] 3.3.5.9.10): as long as nothing else was asked of the open, the repetition gets the same answer.

const duplicateObjectID ntstatus.Status = 0xc000022a

// createKey names what a client creates with a CreateGuid.
type createKey struct {
	client string
	guid   [16]byte
}

func (o *open) createKey() createKey { return createKey{o.owner.Client, o.guid} }

// creation is what an answer to a repeated CREATE takes from the first one.
type creation struct {
	action gateway.OpenAction
	keep   bool // it was promised that the open outlives its connection
}

// claim is the CreateGuid of a CREATE that is at work.
type claim struct {
	files *files
	key   createKey
	over  chan struct{}
}

func (c *claim) release() {
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	delete(c.files.creating, c.key)
	close(c.over)
}

// claimGUID reserves the CreateGuid of a CREATE until the claim is released. It returns the open that was made with it before. While
// the first CREATE is at work, its repetition has to come again later.
func (f *files) claimGUID(key createKey) (made *open, claimed *claim, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.byGUID[key]; o != nil {
		return o, nil, nil
	}
	if f.creating[key] != nil {
		return nil, nil, ntstatus.FileNotAvailable
	}
	over := make(chan struct{})
	f.creating[key] = over
	return nil, &claim{f, key, over}, nil
}

// used says that the client knows its open: the CREATE will not be repeated.
func (f *files) used(o *open) {
	if !o.replayable.Swap(false) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byGUID[o.createKey()] == o {
		delete(f.byGUID, o.createKey())
	}
}

// repeatable begins a CREATE with a CreateGuid. done: it was answered. Otherwise m.claim is released when it is over.
func (m *message) repeatable(r *wire.CreateRequest, list []contexts.Context, asked *caching) (done bool, err error) {
	if err := m.mayWait(); err != nil {
		return false, err
	}
	files := &m.conn.srv.files
	replay := m.h.Flags&wire.FlagReplay != 0
	o, claimed, err := files.claimGUID(createKey{m.caller.Owner.Client, asked.guid})
	switch {
	case err != nil:
		return false, err
	case o == nil && replay:
		if done, err = m.regain(r, list, asked); done || err != nil {
			claimed.release()
			return done, err
		}
		fallthrough
	case o == nil:
		m.claim = claimed
		return false, nil
	case !replay:
		return false, duplicateObjectID
	}
	return true, m.answerAgain(o, list, asked)
}

// answerAgain answers a repeated CREATE.
func (m *message) answerAgain(o *open, list []contexts.Context, asked *caching) error {
	switch {
	case o.session != m.ch.session || o.tree != m.tree,
		(asked.lease != nil) != (o.lease.Kind == causeway.Lease),
		asked.lease != nil && asked.lease.Key != o.lease.Key:
		return ntstatus.AccessDenied
	}
	m.caller.NoWait = false
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, o.handle)
	if err != nil {
		return err
	}
	m.open = o
	opened := gateway.Opened{Entry: gateway.Entry{Handle: o.handle, Attr: attr}, ID: o.openID(), Action: o.creation.action}
	if asked.durable = asked.durable && o.creation.keep; asked.durable {
		opened.Keep = o.keep
	}
	if asked.lease != nil {
		opened.Lease = m.conn.srv.files.leaseNow(o.lease)
	} else {
		opened.Lease.Caching = asked.state
		asked.durable = asked.durable && asked.state == causeway.CacheAll
	}
	return m.appendCreate(list, o, &opened, asked)
}

// regain looks for an open that a lost connection has left behind without its client knowing, here or at another gateway: by its
// CreateGuid.
func (m *message) regain(r *wire.CreateRequest, list []contexts.Context, asked *caching) (done bool, err error) {
	again := *asked
	again.reconnect, again.version = true, 2
	if k := m.conn.srv.files.keptWith(createKey{m.caller.Owner.Client, asked.guid}); k != nil {
		again.file = contexts.FileID(fileID(k.id))
	}
	err = m.reconnect(r, list, &again)
	if err == ntstatus.ObjectNameNotFound {
		return false, nil
	}
	return err == nil, err
}

// keptWith finds an open whose connection has ended by its CreateGuid.
func (f *files) keptWith(key createKey) *keptOpen {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kept {
		if k.guid == key.guid && k.client == key.client {
			return k
		}
	}
	return nil
}

// leased remembers how much a lease allows, as its client was told last.
func (f *files) leasedNow(l gateway.LeaseState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.leases[l.ID]) > 0 {
		f.states[l.ID] = l
	}
}

func (f *files) leaseNow(id causeway.LeaseID) gateway.LeaseState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.states[id]
}

// An application that another machine of its cluster has taken over opens its files anew there: what the machine before has open goes
// ([MS-SMB2] 3.3.5.9.13).

// appInstance reads the context; zero: there is none.
func appInstance(list []contexts.Context) (id [16]byte, err error) {
	c := contexts.Find(list, contexts.AppInstanceID)
	if c == nil {
		return id, nil
	}
	if len(c.Data) != 20 || le.Uint16(c.Data) != 20 {
		return id, ntstatus.InvalidParameter
	}
	return [16]byte(c.Data[4:]), nil
}

// takeOver closes what other clients have open of the object for the same application and the same user.
func (m *message) takeOver(id [16]byte, h causeway.Handle) {
	files := &m.conn.srv.files
	files.mu.Lock()
	opens := slices.Clone(files.byHandle[h])
	files.mu.Unlock()
	for _, o := range opens {
		if o.appInstance == id && o.owner.Client != m.caller.Owner.Client && o.session.cred().UID == m.caller.Cred.UID {
			o.end(m.conn.srv.ctx)
		}
	}
}
