package peer

import (
	"context"
	"encoding/binary"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// bulkWindow is how many bytes of a stream for bulk data may be under way.
const bulkWindow = 4 << 20

// bulk is the generated service's view of Peers for gateways without reach of the storage.
type bulk struct {
	peerpb.UnimplementedBulkServer
	*Peers
}

// bulkConn returns the connection for bulk data to a node. One that failed is made anew.
func (p *Peers) bulkConn(node string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.bulks[node]; c != nil {
		return c, nil
	}
	at, ok := p.cfg.Address(node)
	if !ok || p.ctx.Err() != nil {
		return nil, errUnsent
	}
	c, err := dial(at, node, p.cfg.Client(), p.cfg.DialTimeout, bulkWindow)
	if err == nil {
		p.bulks[node] = c
	}
	return c, err
}

// bulkFailed forgets a connection if err says that it is broken. It returns what the caller is told.
func (p *Peers) bulkFailed(node string, c *grpc.ClientConn, err error) error {
	if status.Code(err) != codes.Unavailable {
		return noAnswer(err)
	}
	p.mu.Lock()
	mine := p.bulks[node] == c
	if mine {
		delete(p.bulks, node)
	}
	p.mu.Unlock()
	if mine {
		c.Close()
	}
	return noAnswer(err)
}

// connected makes sure that there is a connection before anything is sent over it: what fails after that may have been done.
func (p *Peers) connected(ctx context.Context, c *grpc.ClientConn) bool {
	state := c.GetState()
	if state == connectivity.Ready {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	for c.Connect(); state != connectivity.Ready; state = c.GetState() {
		if state == connectivity.TransientFailure || !c.WaitForStateChange(ctx, state) {
			return false
		}
	}
	return true
}

// about begins a message about an object for a connection that is not a session's.
func (p *Peers) about(ctx context.Context, c *gateway.Caller, h causeway.Handle) (*peerpb.Request, error) {
	r := wire.About(peerpb.Op_NONE, c, h)
	wire.SetEpoch(r, p.cfg.Table.Now(h.Volume).Epoch)
	return r, p.prepare(ctx, r)
}

// admit checks a message of another gateway about an object here, and takes a slot for it.
func (b bulk) admit(ctx context.Context, r *peerpb.Request) (context.Context, *gateway.Caller, causeway.Handle, depth.Slots, error) {
	fail := func(err error) (context.Context, *gateway.Caller, causeway.Handle, depth.Slots, error) {
		return ctx, nil, causeway.Handle{}, depth.Slots{}, err
	}
	from, err := b.nodeOf(ctx)
	if err != nil {
		return fail(err)
	}
	c, h, err := wire.AboutOf(r)
	if err == nil {
		err = b.timely(from, r)
	}
	switch {
	case err != nil:
		return fail(err)
	case r.Depth < 2 || r.Depth > depth.Max:
		return fail(causeway.ErrServerFault)
	case !b.cfg.Known(h.Volume):
		return fail(causeway.ErrStale)
	case b.services.Transfer == nil:
		return fail(causeway.ErrNotSupp)
	case wire.Epoch(r.Epoch).Before(b.cfg.Table.Now(h.Volume).Epoch):
		b.counts.stale.Add(1)
		return fail(causeway.ErrStaleEpoch)
	}
	c.Gateway = from
	slots, err := b.slots.Take(ctx, int(r.Depth), 1)
	if err != nil {
		return fail(causeway.ErrDelay)
	}
	b.counts.served.Add(1)
	return depth.With(ctx, int(r.Depth)), c, h, slots, nil
}

// Read implements the service.
func (b bulk) Read(ctx context.Context, m *peerpb.ReadRequest) (*peerpb.ReadReply, error) {
	ctx, c, h, slots, err := b.admit(ctx, m.About)
	if err != nil {
		return &peerpb.ReadReply{Reply: wire.Failed(err)}, grpcError(err)
	}
	defer slots.Release()
	if m.Length > causeway.MaxTransfer {
		return &peerpb.ReadReply{Reply: wire.Failed(causeway.ErrInval)}, nil
	}
	data := make([]byte, m.Length)
	r, err := b.services.Transfer.Read(ctx, c, h, m.Offset, data)
	out := wire.ReplyOf(&wire.Result{Entry: gateway.Entry{Attr: r.Attr}, EOF: r.EOF}, err)
	return &peerpb.ReadReply{Reply: out, Data: data[:r.N]}, nil
}

// Write implements the service.
func (b bulk) Write(ctx context.Context, m *peerpb.WriteRequest) (*peerpb.WriteReply, error) {
	ctx, c, h, slots, err := b.admit(ctx, m.About)
	if err != nil {
		return &peerpb.WriteReply{Reply: wire.Failed(err)}, grpcError(err)
	}
	defer slots.Release()
	if len(m.Data) > causeway.MaxTransfer || m.How > uint32(causeway.FileSync) {
		return &peerpb.WriteReply{Reply: wire.Failed(causeway.ErrInval)}, nil
	}
	done, err := b.writing.begin(ctx, h, c.Gateway)
	if err != nil {
		return &peerpb.WriteReply{Reply: wire.Failed(err)}, nil
	}
	defer done()
	r, err := b.services.Transfer.Write(ctx, c, h, m.Offset, m.Data, causeway.Stability(m.How))
	return &peerpb.WriteReply{
		Reply: wire.ReplyOf(&wire.Result{Change: r.Change}, err), Written: uint32(r.N), How: uint32(r.Stable),
		Verifier: binary.BigEndian.Uint64(r.Verifier[:]),
	}, nil
}

// Sync implements the service.
func (b bulk) Sync(ctx context.Context, m *peerpb.SyncRequest) (*peerpb.SyncReply, error) {
	ctx, c, h, slots, err := b.admit(ctx, m.About)
	if err != nil {
		return &peerpb.SyncReply{Reply: wire.Failed(err)}, grpcError(err)
	}
	defer slots.Release()
	r, err := b.services.Transfer.Sync(ctx, c, h, wire.SpanOf(m.About))
	return &peerpb.SyncReply{Reply: wire.ReplyOf(&wire.Result{Change: r.Change}, err), Verifier: binary.BigEndian.Uint64(r.Verifier[:])}, nil
}

// grpcError passes on only what refuses the connection as such.
func grpcError(err error) error {
	if status.Code(err) == codes.PermissionDenied {
		return err
	}
	return nil
}
