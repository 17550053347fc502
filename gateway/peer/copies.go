package peer

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"causeway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
	"causeway/gateway/shadow"
)

// Copies keeps second copies for other gateways.
type Copies interface {
	Keep(b *shadow.Batch) error
	// Collect returns what is kept here of a volume, or what this gateway knows as the owner that it was. What an older
	// owner than e sends afterwards is refused.
	Collect(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) (shadow.Copy, error)
}

var (
	_ shadow.Network = (*Peers)(nil)
	_ shadow.Poster  = (*Peers)(nil)
)

// smallBatch is up to how many bytes a batch travels with the small messages: changes wait for it.
const smallBatch = 32 << 10

// Keep implements shadow.Network.
func (p *Peers) Keep(ctx context.Context, node string, b *shadow.Batch) error {
	if wire.Weigh(b.Records) <= smallBatch {
		reply, err := p.tell(ctx, node, &peerpb.Request{Op: peerpb.Op_KEEP, Volume: uint64(b.Volume), Batch: wire.Batch(b)})
		if err != nil {
			return noAnswer(err)
		}
		return wire.Error(reply)
	}
	conn, err := p.bulkConn(node)
	if err != nil {
		return noAnswer(err)
	}
	reply, err := keepLarge(ctx, conn, b)
	if err != nil {
		return p.bulkFailed(node, conn, err)
	}
	return wire.Error(reply)
}

// Post implements shadow.Poster.
func (p *Peers) Post(node string, b *shadow.Batch, within time.Duration, done func(error)) bool {
	if wire.Weigh(b.Records) > smallBatch {
		return false
	}
	c := p.talks(node)
	if c == nil {
		return false
	}
	r := &peerpb.Request{Op: peerpb.Op_KEEP, Volume: uint64(b.Volume), Batch: wire.Batch(b), TimeoutMs: uint32(within.Milliseconds()), Depth: requestDepth, Joining: p.cfg.Joining()}
	if !c.post(r, within, func(reply *peerpb.Reply, err error) {
		if err == nil {
			err = wire.Error(reply)
		} else {
			err = noAnswer(err)
		}
		done(err)
	}) {
		return false
	}
	p.counts.asked.Add(1)
	return true
}

func keepLarge(ctx context.Context, conn *grpc.ClientConn, b *shadow.Batch) (*peerpb.Reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := peerpb.NewCopiesClient(conn).Keep(ctx)
	if err != nil {
		return nil, err
	}
	if err := wire.Parts(b, stream.Send); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return stream.CloseAndRecv() // tells the reason of io.EOF
}

// Collect implements shadow.Network.
func (p *Peers) Collect(ctx context.Context, node string, v causeway.VolumeID, e causeway.Epoch) (out shadow.Copy, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := p.bulkConn(node)
	if err != nil {
		return out, noAnswer(err)
	}
	stream, err := peerpb.NewCopiesClient(conn).Collect(ctx, &peerpb.CollectRequest{Volume: uint64(v), Epoch: wire.EpochOf(e)})
	if err != nil {
		return out, p.bulkFailed(node, conn, err)
	}
	var all assembly
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return shadow.Copy{Version: all.batch.Version, Records: all.batch.Records}, nil
		}
		if err != nil {
			return shadow.Copy{}, p.bulkFailed(node, conn, err)
		}
		if err := all.add(m); err != nil {
			return shadow.Copy{}, causeway.ErrServerFault
		}
	}
}

// assembly puts the parts of a batch together.
type assembly struct {
	batch shadow.Batch
	begun bool
	bytes int
}

func (a *assembly) add(m *peerpb.Batch) error {
	b, err := wire.BatchOf(m)
	if err != nil {
		return err
	}
	if !a.begun {
		a.begun, a.batch = true, b
		return nil
	}
	a.bytes += wire.Weigh(b.Records)
	if a.bytes > shadow.MaxBytes*2 || len(a.batch.Records)+len(b.Records) > 2*shadow.MaxRecords || b.Version != a.batch.Version || b.Volume != a.batch.Volume {
		return causeway.ErrInval
	}
	a.batch.Records = append(a.batch.Records, b.Records...)
	return nil
}

// keep takes a small batch.
func (p *Peers) keep(m *peerpb.Batch) *peerpb.Reply {
	b, err := wire.BatchOf(m)
	switch {
	case err != nil:
		return wire.Failed(err)
	case p.services.Copies == nil || !p.cfg.Known(b.Volume):
		return wire.Failed(causeway.ErrNotSupp)
	}
	return wire.Failed(p.services.Copies.Keep(&b))
}

// copies is the generated service's view of Peers for large copies.
type copies struct {
	peerpb.UnimplementedCopiesServer
	*Peers
}

// Keep implements the service.
func (c copies) Keep(stream grpc.ClientStreamingServer[peerpb.Batch, peerpb.Reply]) error {
	if _, err := c.nodeOf(stream.Context()); err != nil {
		return err
	}
	var all assembly
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := all.add(m); err != nil {
			return stream.SendAndClose(wire.Failed(err))
		}
	}
	if c.services.Copies == nil || !c.cfg.Known(all.batch.Volume) {
		return stream.SendAndClose(wire.Failed(causeway.ErrNotSupp))
	}
	return stream.SendAndClose(wire.Failed(c.services.Copies.Keep(&all.batch)))
}

// Collect implements the service.
func (c copies) Collect(m *peerpb.CollectRequest, stream grpc.ServerStreamingServer[peerpb.Batch]) error {
	if _, err := c.nodeOf(stream.Context()); err != nil {
		return err
	}
	v := causeway.VolumeID(m.Volume)
	if c.services.Copies == nil || !c.cfg.Known(v) {
		return stream.Send(&peerpb.Batch{})
	}
	found, err := c.services.Copies.Collect(stream.Context(), v, wire.Epoch(m.Epoch))
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return wire.Parts(&shadow.Batch{Volume: v, Version: found.Version, Whole: true, Records: found.Records}, stream.Send)
}
