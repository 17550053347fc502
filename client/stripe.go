package client

import (
	"context"
	"sync"

	"causeway"
	"causeway/client/clientpb"
)

// piece is a part of a transfer that one gateway moves.
type piece struct {
	from, to int // in the caller's bytes
	gateway  string
}

// pieces cuts a transfer at multiples of the stripe unit, and gives them to gateways in turn. A small transfer takes the path in use.
func (f *File) pieces(off int64, n int, spread bool) (out []piece) {
	unit := int64(f.v.c.cfg.StripeUnit)
	gateways := []string(nil)
	if spread && int64(n) > unit {
		gateways = f.v.gateways()
		if p, err := f.at(); err == nil {
			gateways = p.v.gateways()
		}
	}
	for at := 0; at < n; {
		stripe := (off + int64(at)) / unit
		end := min(int64(n), (stripe+1)*unit-off)
		p := piece{from: at, to: int(end)}
		if len(gateways) > 0 {
			p.gateway = gateways[stripe%int64(len(gateways))]
		}
		out = append(out, p)
		at = int(end)
	}
	return out
}

// each does something for all pieces, some at once, and returns the error of the first piece that has one.
func (f *File) each(pieces []piece, do func(i int, p piece) error) error {
	if len(pieces) == 1 {
		return do(0, pieces[0])
	}
	errs, slots := make([]error, len(pieces)), make(chan struct{}, f.v.c.cfg.Parallel)
	var all sync.WaitGroup
	for i, p := range pieces {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i, p)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// readPieces reads all of p, or what there is, or what comes before a piece that failed.
func (f *File) readPieces(p []byte, off int64) (n int, err error) {
	if n, ok := f.readLocal(p, off); ok {
		return n, nil
	}
	pieces := f.pieces(off, len(p), true)
	got := make([]int, len(pieces))
	err = f.each(pieces, func(i int, c piece) (err error) {
		got[i], err = f.read(c, p[c.from:c.to], uint64(off)+uint64(c.from))
		return err
	})
	for i, c := range pieces {
		if n += got[i]; got[i] < c.to-c.from {
			break
		}
	}
	return n, err
}

// read reads a piece, until the end of the file.
func (f *File) read(c piece, p []byte, off uint64) (n int, err error) {
	for n < len(p) {
		var r *clientpb.ReadReply
		at, err := f.at()
		if err != nil {
			return n, err
		}
		request := &clientpb.ReadRequest{Caller: f.v.c.caller, Handle: at.handle, Offset: off + uint64(n), Count: uint32(len(p) - n)}
		_, err = f.v.c.do(f.ctx, at.v.name, c.gateway, func(ctx context.Context, files clientpb.FilesClient) (outcome, error) {
			m, err := files.Read(ctx, request)
			r = m
			return m, err
		})
		if err != nil && at.mirror != nil && f.ctx.Err() == nil {
			f.v.mirror.CompareAndSwap(at.mirror, nil)
			continue
		}
		if err != nil {
			return n, err
		}
		moved := copy(p[n:], r.Data)
		n += moved
		if r.Eof || moved == 0 {
			break
		}
	}
	return n, nil
}

// write writes a piece, and keeps it unless it is stable.
func (f *File) write(prefer string, p []byte, off uint64, how causeway.Stability) error {
	c := f.v.c
	doubts := c.doubts.Load()
	var r *clientpb.WriteReply
	request := &clientpb.WriteRequest{Caller: c.caller, Handle: f.handle, Offset: off, Data: p, Stability: uint32(how)}
	gateway, err := c.do(f.ctx, f.v.name, prefer, func(ctx context.Context, files clientpb.FilesClient) (outcome, error) {
		m, err := files.Write(ctx, request)
		r = m
		return m, err
	})
	if err != nil {
		return err
	}
	if len(r.Verifier) != len(causeway.Verifier{}) {
		return causeway.ErrServerFault
	}
	if how == causeway.Unstable {
		f.keep.add(kept{off: off, data: p, gateway: gateway, verifier: causeway.Verifier(r.Verifier), doubts: doubts}, r.Stability == uint32(causeway.FileSync))
	}
	return nil
}
