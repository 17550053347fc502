package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
	"causeway/gateway/transfer"
	"causeway/gateway/transfer/path"
	"causeway/internal/setting"
)

// ProxyConfig says by whom bytes are moved.
type ProxyConfig struct {
	Peers *Peers
	// Large is how many calls of more than 64 KiB are under way at once; the others wait. Each takes several times its size of memory
	// at both gateways. Default 16.
	Large int
}

// Validate sets defaults and names the field at fault.
func (c *ProxyConfig) Validate() error {
	if c.Peers == nil {
		return errors.New("peer: Peers is needed")
	}
	return setting.Positive("peer: Large", &c.Large, 16)
}

// Proxy has other gateways move bytes, for volumes whose storage this one does not reach. Whom to ask, and whom next, is
// transfer.Paths' to say.
type Proxy struct {
	cfg   ProxyConfig
	large chan struct{} // holds one for each call of many bytes
}

// NewProxy returns a Proxy.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Proxy{cfg, make(chan struct{}, cfg.Large)}, nil
}

// large is from how many bytes on a call is counted.
const large = 64 << 10

// Via moves bytes by way of a node. Each call is one attempt: it fails with transfer.ErrUnreached if the node was not asked, or it makes no
// difference that it was, and with path.Unsettled if a write may still be done.
func (x *Proxy) Via(node string) gateway.Transfer { return via{x, node} }

type via struct {
	*Proxy
	node string
}

var _ gateway.Transfer = via{}

// attempt returns the reply of a message that changes nothing or makes bytes stable, and brings or takes so many bytes.
func (x via) attempt(ctx context.Context, c *gateway.Caller, h causeway.Handle, bytes int, do func(context.Context, *grpc.ClientConn, *peerpb.Request) (*peerpb.Reply, error)) error {
	if c.NoWait {
		return causeway.ErrWouldBlock
	}
	p := x.cfg.Peers
	about, err := p.about(ctx, c, h)
	if err != nil {
		return err
	}
	if bytes > large {
		select {
		case x.large <- struct{}{}:
			defer func() { <-x.large }()
		case <-ctx.Done():
			return transfer.ErrUnreached
		}
	}
	conn, err := p.bulkConn(x.node)
	if err != nil {
		return transfer.ErrUnreached
	}
	if !p.connected(ctx, conn) {
		_ = p.bulkFailed(x.node, conn, status.Error(codes.Unavailable, "no connection")) // grpc would pause before the next one
		return transfer.ErrUnreached
	}
	reply, err := do(ctx, conn, about)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoReply, p.bulkFailed(x.node, conn, err))
	}
	return wire.Error(reply)
}

// errNoReply is what an attempt without an answer ends with.
var errNoReply = fmt.Errorf("peer: no answer: %w", transfer.ErrUnreached)

// unsettled makes of a write without an answer one that may still be done, as long as the node is the member that it was.
func (x via) unsettled(err error, joining uint64) error {
	if !errors.Is(err, errNoReply) {
		return err
	}
	return &path.Unsettled{Err: err, Over: func() bool {
		now, member := x.cfg.Peers.cfg.Member(x.node)
		return !member || now != joining
	}}
}

// Read implements gateway.Transfer.
func (x via) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (out gateway.ReadResult, err error) {
	for {
		part := dst[out.N:min(len(dst), out.N+causeway.MaxTransfer)]
		r, err := x.read(ctx, c, h, off+uint64(out.N), part)
		n := out.N + r.N
		if out, out.N = r, n; err != nil || r.EOF || r.N < len(part) || n == len(dst) {
			return out, err
		}
	}
}

func (x via) read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (out gateway.ReadResult, err error) {
	err = x.attempt(ctx, c, h, len(dst), func(ctx context.Context, conn *grpc.ClientConn, about *peerpb.Request) (*peerpb.Reply, error) {
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
func (x via) ReadRange(context.Context, *gateway.Caller, causeway.Handle, uint64, int) (gateway.FileRange, error) {
	return gateway.FileRange{}, causeway.ErrNotSupp
}

// Write implements gateway.Transfer.
func (x via) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (out gateway.WriteResult, err error) {
	if len(data) > causeway.MaxTransfer {
		return out, causeway.ErrInval
	}
	joining, _ := x.cfg.Peers.cfg.Member(x.node)
	err = x.attempt(ctx, c, h, len(data), func(ctx context.Context, conn *grpc.ClientConn, about *peerpb.Request) (*peerpb.Reply, error) {
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
	return out, x.unsettled(err, joining)
}

// Sync implements gateway.Transfer.
func (x via) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (out gateway.SyncResult, err error) {
	err = x.attempt(ctx, c, h, 0, func(ctx context.Context, conn *grpc.ClientConn, about *peerpb.Request) (*peerpb.Reply, error) {
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
