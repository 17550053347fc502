package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
	"causeway/internal/setting"
	"causeway/internal/sleep"
)

// ProxyConfig says how a Proxy decides.
type ProxyConfig struct {
	Peers *Peers
	Local gateway.Transfer
	// Reach tells whether this gateway reaches the storage of a volume, or else who does; no node: nobody now. It must not block.
	Reach func(causeway.VolumeID) (here bool, node string)
	// Patience is how long a call waits for a gateway with reach; then it is ErrDelay. Default 20 s.
	Patience time.Duration
	// Large is how many calls of more than 64 KiB are under way at once; the others wait. Each takes several times its size of memory
	// at both gateways. Default 16.
	Large int
}

// Validate sets defaults and names the field at fault.
func (c *ProxyConfig) Validate() error {
	if c.Peers == nil || c.Local == nil || c.Reach == nil {
		return errors.New("peer: Peers, Local and Reach are needed")
	}
	return errors.Join(setting.Positive("peer: Patience", &c.Patience, 20*time.Second), setting.Positive("peer: Large", &c.Large, 16))
}

// Proxy implements gateway.Transfer also for volumes whose storage this gateway does not reach: another one moves their bytes.
// Reads, writes and syncs whose answer was lost are done again, which does no harm: the same bytes come to the same place, and the
// verifier tells of a gateway that forgot.
type Proxy struct {
	cfg   ProxyConfig
	large chan struct{} // holds one for each call of many bytes
}

var (
	_ gateway.Transfer = (*Proxy)(nil)
	_ gateway.Sparse   = (*Proxy)(nil)
)

// NewProxy returns a Proxy.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Proxy{cfg, make(chan struct{}, cfg.Large)}, nil
}

// large is from how many bytes on a call is counted.
const large = 64 << 10

// away asks who has reach until somebody answers. do returns the reply of one attempt, which moves so many bytes.
func (x *Proxy) away(ctx context.Context, c *gateway.Caller, h causeway.Handle, bytes int, do func(context.Context, *grpc.ClientConn, *peerpb.Request) (*peerpb.Reply, error)) error {
	if c.NoWait {
		return causeway.ErrWouldBlock
	}
	ctx, cancel := context.WithTimeout(ctx, x.cfg.Patience)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, lookAgain) {
		err := x.once(ctx, c, h, bytes, do)
		code := causeway.CodeOf(err)
		if code != causeway.ErrStaleEpoch && !errors.Is(err, errAgain) {
			return err
		}
		if !sleep.For(ctx, pause) {
			return causeway.ErrDelay
		}
	}
}

var errAgain = errors.New("peer: no gateway with reach of the storage answered")

func (x *Proxy) once(ctx context.Context, c *gateway.Caller, h causeway.Handle, bytes int, do func(context.Context, *grpc.ClientConn, *peerpb.Request) (*peerpb.Reply, error)) error {
	p := x.cfg.Peers
	_, node := x.cfg.Reach(h.Volume)
	if node == "" {
		return errAgain
	}
	about, err := p.about(ctx, c, h)
	if err != nil {
		return err
	}
	if bytes > large {
		select {
		case x.large <- struct{}{}:
			defer func() { <-x.large }()
		case <-ctx.Done():
			return errAgain
		}
	}
	conn, err := p.bulkConn(node)
	if err != nil {
		return errAgain
	}
	reply, err := do(ctx, conn, about)
	if err != nil {
		return fmt.Errorf("%w: %w", errAgain, p.bulkFailed(node, conn, err))
	}
	return wire.Error(reply)
}

// Read implements gateway.Transfer.
func (x *Proxy) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (out gateway.ReadResult, err error) {
	if here, _ := x.cfg.Reach(h.Volume); here {
		return x.cfg.Local.Read(ctx, c, h, off, dst)
	}
	for {
		part := dst[out.N:min(len(dst), out.N+causeway.MaxTransfer)]
		r, err := x.read(ctx, c, h, off+uint64(out.N), part)
		n := out.N + r.N
		if out, out.N = r, n; err != nil || r.EOF || r.N < len(part) || n == len(dst) {
			return out, err
		}
	}
}

func (x *Proxy) read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (out gateway.ReadResult, err error) {
	err = x.away(ctx, c, h, len(dst), func(ctx context.Context, conn *grpc.ClientConn, about *peerpb.Request) (*peerpb.Reply, error) {
		m, err := peerpb.NewBulkClient(conn).Read(ctx, &peerpb.ReadRequest{About: about, Offset: off, Length: uint32(len(dst))})
		if err != nil {
			return nil, err
		}
		result, err := wire.ResultOf(reply(m.Reply), h.Volume)
		if err == nil && len(m.Data) > len(dst) {
			return wire.Failed(causeway.ErrServerFault), nil
		}
		out = gateway.ReadResult{N: copy(dst, m.Data), EOF: result.EOF, Attr: result.Entry.Attr}
		return reply(m.Reply), nil
	})
	return out, err
}

// reply is for answers without one, which no gateway of ours sends.
func reply(r *peerpb.Reply) *peerpb.Reply {
	if r == nil {
		return wire.Failed(causeway.ErrServerFault)
	}
	return r
}

// ReadRange implements gateway.Transfer.
func (x *Proxy) ReadRange(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, n int) (gateway.FileRange, error) {
	if here, _ := x.cfg.Reach(h.Volume); here {
		return x.cfg.Local.ReadRange(ctx, c, h, off, n)
	}
	return gateway.FileRange{}, causeway.ErrNotSupp
}

// sparse is the local engine, where it can do what gateway.Sparse says with a volume.
func (x *Proxy) sparse(v causeway.VolumeID) (gateway.Sparse, error) {
	here, _ := x.cfg.Reach(v)
	local, can := x.cfg.Local.(gateway.Sparse)
	if !here || !can {
		return nil, causeway.ErrNotSupp
	}
	return local, nil
}

// Punch implements gateway.Sparse.
func (x *Proxy) Punch(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.WriteResult, error) {
	local, err := x.sparse(h.Volume)
	if err != nil {
		return gateway.WriteResult{}, err
	}
	return local.Punch(ctx, c, h, s)
}

// Data implements gateway.Sparse.
func (x *Proxy) Data(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span, max int) ([]causeway.Span, bool, error) {
	local, err := x.sparse(h.Volume)
	if err != nil {
		return nil, false, err
	}
	return local.Data(ctx, c, h, s, max)
}

// Write implements gateway.Transfer.
func (x *Proxy) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (out gateway.WriteResult, err error) {
	if here, _ := x.cfg.Reach(h.Volume); here {
		return x.cfg.Local.Write(ctx, c, h, off, data, how)
	}
	if len(data) > causeway.MaxTransfer {
		return out, causeway.ErrInval
	}
	err = x.away(ctx, c, h, len(data), func(ctx context.Context, conn *grpc.ClientConn, about *peerpb.Request) (*peerpb.Reply, error) {
		m, err := peerpb.NewBulkClient(conn).Write(ctx, &peerpb.WriteRequest{About: about, Offset: off, Data: data, How: uint32(how)})
		if err != nil {
			return nil, err
		}
		result, _ := wire.ResultOf(reply(m.Reply), h.Volume)
		if int(m.Written) > len(data) || m.How > uint32(causeway.FileSync) {
			return wire.Failed(causeway.ErrServerFault), nil
		}
		out = gateway.WriteResult{N: int(m.Written), Stable: causeway.Stability(m.How), Change: result.Change}
		binary.BigEndian.PutUint64(out.Verifier[:], m.Verifier)
		return reply(m.Reply), nil
	})
	return out, err
}

// Sync implements gateway.Transfer.
func (x *Proxy) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (out gateway.SyncResult, err error) {
	if here, _ := x.cfg.Reach(h.Volume); here {
		return x.cfg.Local.Sync(ctx, c, h, s)
	}
	err = x.away(ctx, c, h, 0, func(ctx context.Context, conn *grpc.ClientConn, about *peerpb.Request) (*peerpb.Reply, error) {
		wire.SetSpan(about, s)
		m, err := peerpb.NewBulkClient(conn).Sync(ctx, &peerpb.SyncRequest{About: about})
		if err != nil {
			return nil, err
		}
		result, _ := wire.ResultOf(reply(m.Reply), h.Volume)
		out = gateway.SyncResult{Change: result.Change}
		binary.BigEndian.PutUint64(out.Verifier[:], m.Verifier)
		return reply(m.Reply), nil
	})
	return out, err
}
