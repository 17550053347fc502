package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"causeway"
	"causeway/client/clientpb"
)

// span is a range of bytes that is locked: from off to before end.
type span struct {
	off, end  uint64
	exclusive bool
}

// held is what a file has locked.
type held struct {
	calls  sync.Mutex // one call about locks of a file at once, so that the list is what the gateways know
	number uint64     // of the call that was made last; guarded by calls

	mu   sync.Mutex
	list []span
	lost bool // somebody else got one of them
}

// kept says that the file's locks are what its user believes.
func (h *held) kept() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		return &causeway.Error{Op: "client", Code: causeway.ErrLocked, Err: errors.New("a lock of this file was lost")}
	}
	return nil
}

// cut takes a span out.
func (h *held) cut(off, end uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]span, 0, len(h.list)+1)
	for _, s := range h.list {
		if s.end <= off || end <= s.off {
			list = append(list, s)
			continue
		}
		if s.off < off {
			list = append(list, span{s.off, off, s.exclusive})
		}
		if end < s.end {
			list = append(list, span{end, s.end, s.exclusive})
		}
	}
	h.list = list
}

func (h *held) add(s span) {
	h.cut(s.off, s.end)
	h.mu.Lock()
	h.list = append(h.list, s)
	h.mu.Unlock()
}

func (h *held) all() []span {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]span(nil), h.list...)
}

// covers returns the lock of the file that has all of a span, if there is one.
func (h *held) covers(s span) (own span, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, own := range h.list {
		if own.off <= s.off && s.end <= own.end {
			return own, true
		}
	}
	return span{}, false
}

func (h *held) lose() {
	h.mu.Lock()
	h.lost = true
	h.mu.Unlock()
}

// Lock locks bytes of the file for this open file alone, and RLock for all that lock them so too. Both wait until nobody else has a lock that
// is in the way, or the context ends. A length of 0 is to the end, wherever that will be. What the file has locked of the bytes before is
// replaced. Locks are advisory, hold against programs on NFS mounts too, and survive the move of the client to another gateway; Close gives
// them back. If the client cannot renew them for as long as a lease (30 s) others may get them: then the file fails with ErrLocked.
func (f *File) Lock(ctx context.Context, off, length int64) error {
	return f.lock(ctx, off, length, true, true)
}

// RLock is Lock for readers.
func (f *File) RLock(ctx context.Context, off, length int64) error {
	return f.lock(ctx, off, length, false, true)
}

// TryLock is Lock that does not wait: it fails with ErrLocked if somebody else has a lock that is in the way.
func (f *File) TryLock(ctx context.Context, off, length int64) error {
	return f.lock(ctx, off, length, true, false)
}

// TryRLock is RLock that does not wait.
func (f *File) TryRLock(ctx context.Context, off, length int64) error {
	return f.lock(ctx, off, length, false, false)
}

// ranged checks a span.
func ranged(off, length int64) (span, error) {
	if off < 0 || length < 0 || off+length < off {
		return span{}, causeway.ErrInval
	}
	if length == 0 {
		return span{off: uint64(off), end: causeway.ToEOF}, nil
	}
	return span{off: uint64(off), end: uint64(off + length)}, nil
}

func (f *File) lock(ctx context.Context, off, length int64, exclusive, wait bool) error {
	s, err := ranged(off, length)
	if err == nil {
		err = f.usable(true)
	}
	if err == nil {
		_, err = f.original()
	}
	if err == nil {
		s.exclusive = exclusive
		f.locks.calls.Lock()
		var unsure bool
		unsure, err = f.take(ctx, s, wait)
		f.taken(ctx, s, unsure)
	}
	return failed("lock", f.name, err)
}

// waitOnce is how long a gateway waits for a lock before the library asks again.
const waitOnce = 20 * time.Second

// take asks for a lock until it is had. unsure: it may be had, and its user is told that it is not.
func (f *File) take(ctx context.Context, s span, wait bool) (unsure bool, err error) {
	f.v.c.locks.watch(f)
	for {
		r := f.lockRequest(s)
		if wait {
			r.WaitMs = uint32(max(min(waitOnce, f.v.c.cfg.Patience/2).Milliseconds(), 1))
		}
		err := f.askLock(ctx, r, clientpb.FilesClient.Lock)
		switch {
		case err == nil:
			f.locks.add(s)
			return false, nil
		case errors.Is(err, causeway.ErrBlocked) && ctx.Err() == nil:
			continue
		case ctx.Err() != nil:
			return true, context.Cause(ctx)
		}
		return errors.Is(err, causeway.ErrDelay), err
	}
}

// taken ends the calls of a file that took a lock. One that it may have is given back first: what is locked next is locked after that.
func (f *File) taken(ctx context.Context, s span, unsure bool) {
	if !unsure {
		f.locks.calls.Unlock()
		return
	}
	f.v.c.tasks.Go(func() {
		defer f.locks.calls.Unlock()
		f.drop(context.WithoutCancel(ctx), s)
	})
}

// drop gives a span back that the file may have. What it had before is kept, and never free meanwhile.
func (f *File) drop(ctx context.Context, s span) {
	had := f.locks.all()
	for _, gap := range s.less(had) {
		if err := f.askLock(ctx, f.lockRequest(gap), clientpb.FilesClient.Unlock); err != nil {
			f.v.c.cfg.Log.Warn("a lock that is not wanted could not be given back", "volume", f.v.name, "err", err)
		}
	}
	for _, had := range had {
		if had.off < s.end && s.off < had.end {
			f.assert(had)
		}
	}
}

// less lists what is left of a span without others.
func (s span) less(others []span) (left []span) {
	h := held{list: []span{s}}
	for _, o := range others {
		h.cut(o.off, o.end)
	}
	return h.list
}

// assert takes a lock again that the file has. It is lost if somebody else got it.
func (f *File) assert(s span) {
	ctx, cancel := context.WithTimeout(f.v.c.life, assertWithin)
	defer cancel()
	err := f.askLock(ctx, f.lockRequest(s), clientpb.FilesClient.Lock)
	if errors.Is(err, causeway.ErrLocked) || errors.Is(err, causeway.ErrStale) {
		f.locks.lose()
		f.v.c.cfg.Log.Warn("a lock was lost", "volume", f.v.name, "err", err)
	}
}

// assertWithin bounds one try to take a lock again: other files' locks wait for it.
const assertWithin = 5 * time.Second

// Unlock gives a span back, whether it was locked or not.
func (f *File) Unlock(ctx context.Context, off, length int64) error {
	s, err := ranged(off, length)
	if err == nil {
		_, err = f.original()
	}
	if err == nil {
		f.locks.calls.Lock()
		defer f.locks.calls.Unlock()
		err = f.askLock(ctx, f.lockRequest(s), clientpb.FilesClient.Unlock)
	}
	if err == nil {
		f.locks.cut(s.off, s.end)
	}
	return failed("unlock", f.name, err)
}

// unlockAll gives all back.
func (f *File) unlockAll() error {
	f.locks.calls.Lock()
	defer f.locks.calls.Unlock()
	var err error
	for _, s := range f.locks.all() {
		if one := f.askLock(f.ctx, f.lockRequest(s), clientpb.FilesClient.Unlock); one != nil {
			err = errors.Join(err, one)
			continue
		}
		f.locks.cut(s.off, s.end)
	}
	f.v.c.locks.unwatch(f)
	return err
}

// lockRequest makes a request that is later than those made before.
func (f *File) lockRequest(s span) *clientpb.LockRequest {
	f.locks.number++
	r := &clientpb.LockRequest{Caller: f.v.c.caller, Handle: f.handle, Owner: f.owner, Offset: s.off, Exclusive: s.exclusive, Number: f.locks.number}
	if s.end != causeway.ToEOF {
		r.Length = s.end - s.off
	}
	return r
}

// askLock makes a call about a lock, and remembers at which gateway.
func (f *File) askLock(ctx context.Context, r *clientpb.LockRequest, method lockMethod) error {
	c := f.v.c
	gateway, err := c.do(ctx, f.v.name, "", func(ctx context.Context, files clientpb.FilesClient) (outcome, error) {
		return method(files, ctx, r)
	})
	if err == nil {
		c.locks.at(f, gateway)
	}
	return err
}
