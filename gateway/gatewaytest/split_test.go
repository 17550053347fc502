package gatewaytest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/near"
	"causeway/gateway/transfer"
)

// site is several gateways in one process: the first administers the volume, the others ask it over links.
type site struct {
	testing.TB
	volume   *causeway.Volume
	gateways []*machine
	owner    atomic.Pointer[access.Engine]
	later    []*access.Engine // that took over from the first owner
	quiet    time.Duration
	lease    time.Duration
	grants   atomic.Int64 // that were asked for over links
	calls    atomic.Int64 // of all other kinds
	recalls  atomic.Int64
	remote   func(context.Context, *gateway.Recall) (gateway.Commit, error) // of a gateway that is another process; nil: there is none
}

// machine is one gateway.
type machine struct {
	site   *site
	name   string
	store  backend.Store
	moves  *transfer.Engine
	near   *near.Cache // nil at the owner
	access gateway.Access
	owner  *access.Engine // at the owner
	jitter time.Duration
	missed bool // an owner did not wait for it

	mu     sync.Mutex
	paused chan struct{} // closed when it goes on
}

// split makes a site. Every gateway gets a store of its own from open, which may be the same.
func split(t testing.TB, n int, exclusive bool, lease time.Duration, open func(i int) backend.Store) *site {
	t.Helper()
	x := &site{TB: t, volume: &causeway.Volume{ID: 42, Name: "v", Exclusive: exclusive, Async: true}, quiet: lease / 100, lease: lease}
	for i := range n {
		x.gateways = append(x.gateways, &machine{site: x, name: fmt.Sprint("g", i), store: open(i)})
	}
	first := x.gateways[0]
	h := &holder{}
	first.owner = access.New(access.Config{Node: first.name, Holder: h, Holders: x, Lease: lease, Quiet: x.quiet})
	first.access = first.owner
	first.moves = transfer.New(transfer.Config{Grants: first.owner, Node: first.name, Renew: lease / 3})
	h.Holder = first.moves
	first.owner.AttachAt(x.volume, first.store, causeway.Epoch{Revision: 1})
	first.moves.Attach(x.volume.ID, first.store)
	x.owner.Store(first.owner)
	for _, m := range x.gateways[1:] {
		m.start(first, lease)
	}
	t.Cleanup(x.close)
	return x
}

// move makes another gateway administer the volume, as after the death of the first: what the others hold goes on.
func (x *site) move(to *machine, epoch causeway.Epoch) {
	x.Helper()
	next := access.New(access.Config{Node: to.name, Holder: to.near, Holders: x, Lease: x.lease, Quiet: x.quiet})
	next.AttachAt(x.volume, to.store, epoch)
	for _, m := range x.gateways {
		holder := gateway.Holder(m.moves)
		if m.near != nil {
			holder = m.near
		}
		held, err := holder.Reassert(context.Background(), x.volume.ID, epoch)
		if err != nil {
			x.Fatal(err)
		}
		refused, err := next.AssertGrants(m.name, epoch, held)
		if err != nil || len(refused) > 0 {
			x.Fatal(refused, err)
		}
	}
	x.owner.Store(next)
	x.later = append(x.later, next)
}

func (m *machine) start(owner *machine, lease time.Duration) {
	l := &link{site: m.site, from: m, owners: owner.owner}
	m.moves = transfer.New(transfer.Config{
		Grants: l, Node: m.name, Renew: lease / 3, Granted: func(h causeway.Handle, seq uint64) { m.near.Granted(h, seq) },
	})
	var err error
	m.near, err = near.New(near.Config{
		Access: l, Node: m.name, Holder: m.moves, Attr: m.moves.Attr, Renew: lease / 3,
		Leased: func(causeway.VolumeID) *causeway.Volume {
			if m.site.volume.Exclusive {
				return m.site.volume
			}
			return nil
		},
	})
	if err != nil {
		m.site.Fatal(err)
	}
	m.access = m.near
	m.moves.Attach(m.site.volume.ID, m.store)
}

func (x *site) close() {
	closed := map[backend.Store]bool{}
	for _, m := range x.gateways {
		m.resume()
		if m.near != nil {
			_ = m.near.Close()
		}
		if err := m.moves.Close(); err != nil {
			x.Error(err)
		}
	}
	for _, owner := range append(x.later, x.gateways[0].owner) {
		owner.Wait()
	}
	for _, m := range x.gateways {
		if !closed[m.store] {
			closed[m.store] = true
			if err := m.store.Close(); err != nil {
				x.Error(err)
			}
		}
	}
}

// Recall implements gateway.Holders.
func (x *site) Recall(ctx context.Context, node string, r *gateway.Recall) (gateway.Commit, error) {
	x.recalls.Add(1)
	for _, m := range x.gateways {
		if m.name == node {
			if err := m.travel(ctx); err != nil {
				return gateway.Commit{}, err
			}
			c, err := m.near.Recall(ctx, r)
			if err == nil {
				err = m.travel(ctx)
			}
			return c, err
		}
	}
	if x.remote != nil && node == "stopped" {
		return x.remote(ctx, r)
	}
	return gateway.Commit{}, causeway.ErrMoved
}

// pause stops all messages to and from a gateway, as a stopped process does.
func (m *machine) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused == nil {
		m.paused = make(chan struct{})
	}
}

func (m *machine) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused != nil {
		close(m.paused)
		m.paused = nil
	}
}

// travel is the way of a message: it takes its time, and waits for a gateway that is stopped. Messages overtake each other.
func (m *machine) travel(ctx context.Context) error {
	if m.jitter > 0 {
		time.Sleep(rand.N(m.jitter))
	}
	m.mu.Lock()
	paused := m.paused
	m.mu.Unlock()
	if paused == nil {
		return nil
	}
	select {
	case <-paused:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// link is the owner's Access as another gateway sees it.
type link struct {
	owners // for what no test asks of another owner
	site   *site
	from   *machine
}

func (l *link) Grant(ctx context.Context, s *gateway.GrantSpec) (r gateway.GrantReply, err error) {
	l.from.site.grants.Add(1)
	if err = l.from.travel(ctx); err == nil {
		if r, err = l.site.owner.Load().Grant(ctx, s); err == nil {
			err = l.from.travel(ctx)
		}
	}
	return r, err
}

func (l *link) Renew(ctx context.Context, holder string, e causeway.Epoch, held []gateway.Held) (ended []gateway.Held, err error) {
	if err = l.from.travel(ctx); err == nil {
		if ended, err = l.site.owner.Load().Renew(ctx, holder, e, held); err == nil {
			err = l.from.travel(ctx)
		}
	}
	return ended, err
}

func (l *link) GetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	l.from.site.calls.Add(1)
	return l.site.owner.Load().GetAttr(ctx, c, h)
}

func (l *link) Lookup(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, causeway.Attr, error) {
	l.from.site.calls.Add(1)
	return l.site.owner.Load().Lookup(ctx, c, dir, name)
}

func (l *link) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	return l.site.owner.Load().SetAttr(ctx, c, h, set, guard)
}

func (l *link) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	return l.site.owner.Load().Create(ctx, c, dir, name, spec)
}

func (l *link) Commit(ctx context.Context, holder string, e causeway.Epoch, held gateway.Held, c *gateway.Commit) error {
	return l.site.owner.Load().Commit(ctx, holder, e, held, c)
}

func (l *link) Return(ctx context.Context, holder string, e causeway.Epoch, held gateway.Held, c *gateway.Commit) error {
	return l.site.owner.Load().Return(ctx, holder, e, held, c)
}

func (l *link) ReadLink(ctx context.Context, c *gateway.Caller, h causeway.Handle) (string, causeway.Attr, error) {
	l.from.site.calls.Add(1)
	return l.owners.ReadLink(ctx, c, h)
}

func (l *link) ReadDir(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	l.from.site.calls.Add(1)
	return l.owners.ReadDir(ctx, c, dir, cookie, want, emit)
}

// owners is the administrative gateway's Access.
type owners = gateway.Access

// anyAccess sends each call to another gateway.
type anyAccess struct {
	owners
	site *site
}

func (a *anyAccess) pick() gateway.Access {
	return a.site.gateways[rand.IntN(len(a.site.gateways))].access
}

func (a *anyAccess) Lookup(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, causeway.Attr, error) {
	return a.pick().Lookup(ctx, c, dir, name)
}

func (a *anyAccess) GetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	return a.pick().GetAttr(ctx, c, h)
}

func (a *anyAccess) Access(ctx context.Context, c *gateway.Caller, h causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error) {
	return a.pick().Access(ctx, c, h, want)
}

func (a *anyAccess) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	return a.pick().SetAttr(ctx, c, h, set, guard)
}

func (a *anyAccess) ReadDir(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	return a.pick().ReadDir(ctx, c, dir, cookie, want, emit)
}

func (a *anyAccess) ReadLink(ctx context.Context, c *gateway.Caller, h causeway.Handle) (string, causeway.Attr, error) {
	return a.pick().ReadLink(ctx, c, h)
}

func (a *anyAccess) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	return a.pick().Create(ctx, c, dir, name, spec)
}

// anyTransfer sends the calls for different objects to different gateways; not those for one, since write verifiers belong to
// gateways.
type anyTransfer struct{ site *site }

func (a anyTransfer) pick(h causeway.Handle) gateway.Transfer {
	return a.site.gateways[(h.Hash()>>7)%uint64(len(a.site.gateways))].moves
}

func (a anyTransfer) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (gateway.ReadResult, error) {
	return a.pick(h).Read(ctx, c, h, off, dst)
}

func (a anyTransfer) ReadRange(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, n int) (gateway.FileRange, error) {
	return a.pick(h).ReadRange(ctx, c, h, off, n)
}

func (a anyTransfer) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	return a.pick(h).Write(ctx, c, h, off, data, how)
}

func (a anyTransfer) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.SyncResult, error) {
	return a.pick(h).Sync(ctx, c, h, s)
}

// TestSplit runs the conformance suite through gateways at random: they must look like one.
func TestSplit(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				s := mem.New(mem.Config{Mode: 0o777})
				x := split(t, 3, exclusive, 3*time.Second, func(int) backend.Store { return s })
				return gatewaytest.Fixture{
					Access: &anyAccess{owners: x.gateways[0].access, site: x}, Transfer: anyTransfer{x}, Volume: x.volume.ID, Async: true,
				}
			})
		})
	}
}
