package peer

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// TestEveryOtherGateway: three gateways are as one, though each call goes to another one than the last.
func TestEveryOtherGateway(t *testing.T) {
	for name, o := range map[string]options{"away": {gates: 3, direct: true}, "near": {gates: 3, direct: true, near: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				s := newSite(t, o)
				e := &everywhere{Transfer: s.g[1].data, g: s.g, stay: strings.HasSuffix(t.Name(), "/verifier")}
				return gatewaytest.Fixture{Access: names{s.g[1].router, e}, Transfer: e, Volume: vol}
			})
		})
	}
}

// everywhere sends each call to another gateway than the last. What is not stable stays at one: only that one can make it stable, and
// verifiers say so.
type everywhere struct {
	gateway.Transfer
	g    []*member
	turn atomic.Uint32
	stay bool // with writes: verifiers are compared
}

// names is the access part of it.
type names struct {
	*Router // for all but names
	*everywhere
}

func (e *everywhere) next() *member { return e.g[int(e.turn.Add(1))%len(e.g)] }

func (e *everywhere) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (gateway.ReadResult, error) {
	return e.next().data.Read(ctx, c, h, off, dst)
}

func (e *everywhere) ReadRange(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, n int) (gateway.FileRange, error) {
	return e.next().data.ReadRange(ctx, c, h, off, n)
}

func (e *everywhere) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	if how == causeway.Unstable || e.stay {
		return e.Transfer.Write(ctx, c, h, off, data, how)
	}
	return e.next().data.Write(ctx, c, h, off, data, how)
}

func (n names) Root(ctx context.Context, c *gateway.Caller, v causeway.VolumeID) (gateway.Entry, error) {
	return n.next().router.Root(ctx, c, v)
}

func (n names) Lookup(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, causeway.Attr, error) {
	return n.next().router.Lookup(ctx, c, dir, name)
}

func (n names) GetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	return n.next().router.GetAttr(ctx, c, h)
}

func (n names) Access(ctx context.Context, c *gateway.Caller, h causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error) {
	return n.next().router.Access(ctx, c, h, want)
}

func (n names) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	return n.next().router.SetAttr(ctx, c, h, set, guard)
}

func (n names) ReadDir(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	return n.next().router.ReadDir(ctx, c, dir, cookie, want, emit)
}

func (n names) ReadLink(ctx context.Context, c *gateway.Caller, h causeway.Handle) (string, causeway.Attr, error) {
	return n.next().router.ReadLink(ctx, c, h)
}

func (n names) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	return n.next().router.Create(ctx, c, dir, name, spec)
}

func (n names) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (causeway.Change, error) {
	return n.next().router.Remove(ctx, c, dir, name, kind)
}

func (n names) Rename(ctx context.Context, c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (causeway.Change, causeway.Change, error) {
	return n.next().router.Rename(ctx, c, from, name, to, newName)
}

func (n names) Link(ctx context.Context, c *gateway.Caller, h, dir causeway.Handle, name string) (causeway.Attr, causeway.Change, error) {
	return n.next().router.Link(ctx, c, h, dir, name)
}

func (n names) Lock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	return n.next().router.Lock(ctx, c, h, s)
}

func (n names) Unlock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) error {
	return n.next().router.Unlock(ctx, c, h, s)
}

func (n names) TestLock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	return n.next().router.TestLock(ctx, c, h, s)
}

func (n names) Cancel(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) error {
	return n.next().router.Cancel(ctx, c, h, s)
}

func (n names) ReleaseClient(ctx context.Context, kind causeway.OwnerKind, client string) error {
	return n.next().router.ReleaseClient(ctx, kind, client)
}

func (n names) Locks(ctx context.Context) ([]gateway.Lock, error) { return n.next().router.Locks(ctx) }

func (n names) Open(ctx context.Context, c *gateway.Caller, h causeway.Handle, spec *gateway.OpenSpec) (gateway.Opened, error) {
	return n.next().router.Open(ctx, c, h, spec)
}

func (n names) SetDelete(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, on bool) error {
	return n.next().router.SetDelete(ctx, c, h, id, on)
}

func (n names) Close(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) (bool, error) {
	return n.next().router.Close(ctx, c, h, id)
}

func (n names) Acknowledge(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.LeaseID, caching causeway.Caching) (gateway.LeaseState, error) {
	return n.next().router.Acknowledge(ctx, c, h, id, caching)
}

func (n names) Opens(ctx context.Context, v causeway.VolumeID) ([]gateway.Opened, error) {
	return n.next().router.Opens(ctx, v)
}

// Subscribe implements gateway.Access.
func (n names) Subscribe(kind causeway.OwnerKind, e gateway.Events) { subscribe(n.g, kind, e) }

func (n names) StatFS(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.FSStat, causeway.Attr, error) {
	return n.next().router.StatFS(ctx, c, h)
}
