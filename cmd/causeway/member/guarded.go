package member

import (
	"context"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/route"
	"causeway/internal/sleep"
)

// guarded moves bytes only while this gateway may do I/O. That a volume moves does not stop it: grants outlive their volume's owner.
type guarded struct {
	gateway.Transfer
	table *route.Table
}

// patience is how long I/O waits until this gateway may do it again. Then its client is told to come again.
const patience = 20 * time.Second

// do runs I/O when that is possible. Writes look once more themselves, at the exact time (transfer.Config.Alive).
func (g *guarded) do(ctx context.Context, c *gateway.Caller, io func() error) error {
	var until time.Time
	life := g.table.Life()
	if life > 0 && !g.table.Valid() { // sent before this gateway was cut off, perhaps, and found in a buffer now
		if c.NoWait {
			return causeway.ErrWouldBlock
		}
		return causeway.ErrDelay
	}
	for !g.table.ValidNearly() {
		if c.NoWait {
			return causeway.ErrWouldBlock
		}
		if until.IsZero() {
			until = time.Now().Add(patience)
		}
		if !sleep.For(ctx, 20*time.Millisecond) || time.Now().After(until) || life != g.table.Life() {
			return causeway.ErrDelay
		}
	}
	err := io()
	if err == nil && !g.table.ValidNearly() {
		return causeway.ErrDelay // nobody must rely on it: another gateway may have been first
	}
	return err
}

// Read implements gateway.Transfer.
func (g *guarded) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (r gateway.ReadResult, err error) {
	err = g.do(ctx, c, func() (err error) { r, err = g.Transfer.Read(ctx, c, h, off, dst); return err })
	return r, err
}

// ReadRange implements gateway.Transfer. The range is sent later: a descriptor reads nothing that was not acknowledged.
func (g *guarded) ReadRange(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, n int) (r gateway.FileRange, err error) {
	err = g.do(ctx, c, func() (err error) { r, err = g.Transfer.ReadRange(ctx, c, h, off, n); return err })
	if err != nil && r.Hold != nil {
		r.Hold.Release()
		r.Hold = nil
	}
	return r, err
}

// Write implements gateway.Transfer.
func (g *guarded) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (r gateway.WriteResult, err error) {
	err = g.do(ctx, c, func() (err error) { r, err = g.Transfer.Write(ctx, c, h, off, data, how); return err })
	return r, err
}

// Sync implements gateway.Transfer.
func (g *guarded) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (r gateway.SyncResult, err error) {
	err = g.do(ctx, c, func() (err error) { r, err = g.Transfer.Sync(ctx, c, h, s); return err })
	return r, err
}
