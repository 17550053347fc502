package client

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"causeway"
	"causeway/client/clientpb"
)

type lockMethod = func(clientpb.FilesClient, context.Context, *clientpb.LockRequest, ...grpc.CallOption) (*clientpb.LockReply, error)

// lockKeeper keeps the locks of all files: it renews them where they were taken, and takes them again where the client goes.
type lockKeeper struct {
	mu       sync.Mutex
	files    map[*File]string // with locks, and the gateway that knows of them
	due      bool             // a gateway is new
	gateways map[string]bool  // that know of some, or once did and were not told yet that this is over
}

func (k *lockKeeper) watch(f *File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files == nil {
		k.files = map[*File]string{}
	}
	if _, known := k.files[f]; !known {
		k.files[f] = ""
	}
}

func (k *lockKeeper) unwatch(f *File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.files, f)
}

// at notes that a gateway knows of a file's locks.
func (k *lockKeeper) at(f *File, gateway string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gateways == nil {
		k.gateways = map[string]bool{}
	}
	k.due = k.due || !k.gateways[gateway]
	k.gateways[gateway] = true
	if k.files[f] != gateway && k.files != nil {
		if _, known := k.files[f]; known {
			k.files[f] = gateway
		}
	}
}

// hurry reports whether a gateway is to be asked at once how long its lease is.
func (k *lockKeeper) hurry() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	due := k.due
	k.due = false
	return due
}

// moved lists the files whose locks a gateway knows that is not the one in use.
func (k *lockKeeper) moved(current func(volume string) string) (out []*File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for f, at := range k.files {
		if now := current(f.v.name); now != "" && now != at {
			out = append(out, f)
		}
	}
	return out
}

// all lists the files with locks, and which gateways know of none any more.
func (k *lockKeeper) all() (files []*File, renew, leave []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	used := map[string]bool{}
	for f, at := range k.files {
		files = append(files, f)
		used[at] = true
	}
	for g := range k.gateways {
		if used[g] {
			renew = append(renew, g)
		} else {
			leave = append(leave, g)
		}
	}
	return files, renew, leave
}

func (k *lockKeeper) left(gateway string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, at := range k.files {
		if at == gateway {
			return
		}
	}
	delete(k.gateways, gateway)
}

// renewEvery is a third of the shortest lease that a gateway gives unless it says otherwise.
const renewEvery = 10 * time.Second

// keepLocks renews locks in time, and soon after the client has moved takes them again where it is now.
func (c *Client) keepLocks() {
	tick := time.NewTicker(max(c.cfg.Suspect/2, time.Millisecond))
	defer tick.Stop()
	next := time.Now()
	wait := renewEvery
	for {
		select {
		case <-tick.C:
		case <-c.life.Done():
			return
		}
		for _, f := range c.locks.moved(func(volume string) string { return c.path(volume, "") }) {
			f.reassert()
			next = time.Now()
		}
		if !c.locks.hurry() && time.Now().Before(next) {
			continue
		}
		files, renew, leave := c.locks.all()
		for _, g := range leave {
			if _, err := c.renew(g, true); err == nil || !c.reaches(g) { // a dead gateway's clients are known to be elsewhere
				c.locks.left(g)
			}
		}
		lapsed := false
		for _, g := range renew {
			lease, err := c.renew(g, false)
			lapsed = lapsed || err != nil
			if lease > 0 {
				wait = min(wait, lease/3)
			}
		}
		if lapsed {
			for _, f := range files {
				f.reassert()
			}
		}
		next = time.Now().Add(wait)
	}
}

// reaches reports whether some path through a gateway is valid.
func (c *Client) reaches(gateway string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.volumes {
		for _, p := range c.paths.All(name) {
			if p.Gateway == gateway && p.State == 0 {
				return true
			}
		}
	}
	return false
}

// renew tells a gateway that the client lives, or that it has no locks there any more.
func (c *Client) renew(gateway string, leave bool) (lease time.Duration, err error) {
	l, err := c.link(gateway)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(c.life, 4*c.cfg.Suspect)
	defer cancel()
	r, err := l.signs.Renew(ctx, &clientpb.RenewRequest{Caller: c.caller, Leave: leave})
	if err != nil {
		return 0, err
	}
	return time.Duration(r.LeaseMs) * time.Millisecond, answer(r)
}

// reassert takes all locks of a file again, where the client is now.
func (f *File) reassert() {
	if !f.locks.calls.TryLock() { // a call that waits for another lock of the file: the next look finds it
		return
	}
	defer f.locks.calls.Unlock()
	list := f.locks.all()
	if len(list) == 0 {
		f.v.c.locks.unwatch(f)
	}
	for _, s := range list {
		f.assert(s)
	}
}

// appendSpan is what appending files lock among themselves, far behind what a file can hold.
var appendSpan = span{off: 1<<63 - 16, end: 1<<63 - 8, exclusive: true}

// append writes at the end of the file, stable, with a lock that all appending files of aware clients take, and that is in the way of who has locked all of
// the file. Nothing of it is written again later: others may have appended behind it.
func (f *File) append(p []byte) (n int, err error) {
	if err := f.usable(f.writes()); err != nil {
		return 0, failed("write", f.name, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	f.locks.calls.Lock()
	own, locked := f.locks.covers(appendSpan)
	if !locked || !own.exclusive {
		if unsure, err := f.take(f.ctx, appendSpan, true); err != nil {
			f.taken(f.ctx, appendSpan, unsure)
			return 0, failed("write", f.name, err)
		}
	}
	defer f.locks.calls.Unlock()
	m, err := f.v.c.ask(f.ctx, f.v.name, &clientpb.Request{Handle: f.handle}, method(clientpb.FilesClient.GetAttr))
	end := m.GetAttr().GetSize()
	if err == nil {
		f.order.RLock()
		err = f.each(f.pieces(int64(end), len(p), false), func(_ int, c piece) error {
			return f.write("", p[c.from:c.to], end+uint64(c.from), causeway.FileSync)
		})
		f.order.RUnlock()
	}
	var unlock error
	switch {
	case !locked:
		if unlock = f.askLock(f.ctx, f.lockRequest(appendSpan), clientpb.FilesClient.Unlock); unlock == nil {
			f.locks.cut(appendSpan.off, appendSpan.end)
		}
	case !own.exclusive: // as its user has it
		_, unlock = f.take(f.ctx, span{appendSpan.off, appendSpan.end, false}, true)
	}
	if err == nil {
		err = unlock
	}
	if err == nil {
		err = f.locks.kept()
	}
	if err != nil {
		return 0, failed("write", f.name, err)
	}
	f.mu.Lock()
	f.pos = int64(end) + int64(len(p))
	f.mu.Unlock()
	return len(p), nil
}
