package transfer

import (
	"context"
	"errors"
	"sync/atomic"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/transfer/path"
	"causeway/internal/sleep"
)

// maxUnsettled bounds the objects whose writes are held to a path. Over it, writes that would have to be noted wait out their time.
const maxUnsettled = 4096

// PathStats are counters since the start, and what is so now.
type PathStats struct {
	Here, Away uint64 // calls that were answered after a failure, by this gateway's own path and by another gateway
	Failed     uint64 // calls that no path could answer
	Probes     uint64
	Died, Back uint64
	Dead       int // paths of this gateway that are
	Unsettled  int // objects with writes of which nobody knows whether they were done
}

type pathCounts struct{ here, away, failed, probes, died, back atomic.Uint64 }

// Stats returns what was counted.
func (x *Paths) Stats() PathStats {
	s := PathStats{Here: x.stats.here.Load(), Away: x.stats.away.Load(), Failed: x.stats.failed.Load(), Probes: x.stats.probes.Load(),
		Died: x.stats.died.Load(), Back: x.stats.back.Load(), Unsettled: int(x.unsure.Load())}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range x.paths {
		if state, _ := p.health.State(); state == path.Dead {
			s.Dead++
		}
	}
	return s
}

// straight reports whether a call goes by this gateway's own path first, as nearly all do.
func (x *Paths) straight(h causeway.Handle, op path.Op) bool {
	return x.Reaches(h.Volume) && (op != path.Write || x.unsure.Load() == 0)
}

// spread reports whether an error of this gateway's own path is one about which something can be done.
func (x *Paths) spread(op path.Op, err error) bool {
	return err != nil && err != error(causeway.ErrWouldBlock) && x.cfg.Rule.Analyse(&path.Failure{Op: op, Err: err}) != path.Verdict{}
}

// round is a call that looks for a path.
type round struct {
	*Paths
	op    path.Op
	h     causeway.Handle
	try   path.Try
	fault error // of a path that is alive: what the client is told if no other path does better
	pin   *pin
}

// around does a call by the paths that there are, until one of them answers. first, if not nil, is how it failed by this gateway's own.
func (x *Paths) around(ctx context.Context, c *gateway.Caller, h causeway.Handle, op path.Op, first error, do func(gateway.Transfer) error) error {
	if c.NoWait {
		return causeway.ErrWouldBlock
	}
	r := &round{Paths: x, op: op, h: h}
	if op == path.Write {
		r.pin = x.pinned(h)
	}
	begun := x.cfg.Now()
	if first != nil {
		r.try.Tried = append(r.try.Tried, path.Path{})
		if err, over := r.judge(ctx, path.Path{}, first); over {
			return err
		}
	}
	for ctx.Err() == nil {
		p, ok := r.next()
		if ok {
			r.try.Tried = append(r.try.Tried, p)
			if err, over := r.judge(ctx, p, do(x.by(p))); over {
				return err
			}
			continue
		}
		if r.fault != nil && r.pin == nil {
			x.stats.failed.Add(1)
			return r.fault
		}
		r.try.Since = x.cfg.Now() - begun
		wait, again := x.cfg.Rule.Schedule(&r.try)
		if !again || !sleep.For(ctx, wait) {
			break
		}
		r.try.Rounds++
		r.try.Tried = r.try.Tried[:0]
	}
	x.stats.failed.Add(1)
	return causeway.ErrDelay
}

func (x *Paths) by(p path.Path) gateway.Transfer {
	if p.Here() {
		return x.own
	}
	return x.cfg.Via(p.Node)
}

// next chooses a path.
func (r *round) next() (path.Path, bool) {
	if r.pin != nil && r.pin.Over() {
		r.settle()
	}
	if r.pin != nil {
		return r.pin.path, len(r.try.Tried) == 0
	}
	var paths []path.Path
	if r.Reaches(r.h.Volume) {
		paths = append(paths, path.Path{})
	}
	for _, node := range r.cfg.Else(r.h.Volume) {
		paths = append(paths, path.Path{Node: node})
	}
	i := r.cfg.Rule.Choose(paths, &r.try)
	if i < 0 || i >= len(paths) {
		return path.Path{}, false
	}
	return paths[i], true
}

// judge decides about how an attempt ended. over: err is for the client.
func (r *round) judge(ctx context.Context, p path.Path, err error) (_ error, over bool) {
	if r.op == path.Write && !p.Here() {
		if u := (*path.Unsettled)(nil); errors.As(err, &u) {
			r.hold(p, u)
			return nil, false
		}
		if r.pin != nil && err == nil {
			r.settle() // that gateway does one after the other: what it was asked before is over
		}
	}
	if err == nil {
		if p.Here() {
			r.stats.here.Add(1)
		} else {
			r.stats.away.Add(1)
		}
		return nil, true
	}
	if errors.Is(err, ErrUnreached) {
		return nil, false
	}
	v := r.cfg.Rule.Analyse(&path.Failure{Op: r.op, Path: p, Err: err})
	var dead error
	if v.Suspect && p.Here() {
		if dead = r.doubt(ctx, err, v.Action == path.Ask); dead == nil && v.Action == path.Ask {
			return err, true
		}
	}
	switch v.Action {
	case path.Answer:
		return err, true
	case path.Here: // it is among those that are tried again after a pause
	case path.OtherGateway:
		if causeway.CodeOf(err) == causeway.ErrROFS {
			r.fault = err
		}
	default:
		if p.Here() && dead == nil {
			dead = r.Suspect(ctx, r.h.Volume, err)
		}
		if dead == nil && causeway.CodeOf(err) != causeway.ErrMoved && causeway.CodeOf(err) != causeway.ErrClosed {
			r.fault = err
		}
	}
	return nil, false
}

// doubt has the path probed. It waits for the result if that decides.
func (r *round) doubt(ctx context.Context, err error, wait bool) error {
	if !wait {
		r.suspect(r.h.Volume, err)
		return nil
	}
	return r.Suspect(ctx, r.h.Volume, err)
}

// ErrUnreached is what one attempt by way of another gateway ends with if that one was not asked, or its answer does not matter.
var ErrUnreached = &causeway.Error{Op: "reach", Code: causeway.ErrDelay}

func (x *Paths) pinned(h causeway.Handle) *pin {
	if x.unsure.Load() == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if p, ok := x.unsettled[h]; ok {
		return &p
	}
	return nil
}

// hold keeps an object's writes to a path.
func (r *round) hold(p path.Path, u *path.Unsettled) {
	r.pin = &pin{p, u}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, held := r.unsettled[r.h]; !held {
		if len(r.unsettled) >= maxUnsettled {
			return // this call waits for it; later ones may not
		}
		r.unsure.Add(1)
	}
	r.unsettled[r.h] = *r.pin
}

// settle ends that.
func (r *round) settle() {
	r.pin = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, held := r.unsettled[r.h]; held {
		delete(r.unsettled, r.h)
		r.unsure.Add(-1)
	}
}
