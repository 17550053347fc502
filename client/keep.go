package client

import (
	"context"
	"errors"
	"sync"

	"causeway"
	"causeway/client/clientpb"
)

// kept is something that was written and may not be stable yet.
type kept struct {
	off      uint64
	data     []byte
	gateway  string            // that has it
	verifier causeway.Verifier // of the write: another one says that it may be lost
	doubts   uint64            // of the client, when it was written
}

// maxKept is how many pieces are kept at most: each new one is compared with all.
const maxKept = 1024

func (k *kept) end() uint64 { return k.off + uint64(len(k.data)) }

// keep is what a file has written and not made stable: pieces that do not overlap.
type keep struct {
	mu       sync.Mutex
	list     []kept
	bytes    int
	doubtful bool // a gateway has another verifier now
}

// add keeps a copy of what was written, in place of what was written there before. stable: it need not be kept itself.
func (k *keep) add(n kept, stable bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]kept, 0, len(k.list)+1)
	for _, o := range k.list {
		k.doubtful = k.doubtful || o.gateway == n.gateway && o.verifier != n.verifier
		if o.end() <= n.off || n.end() <= o.off {
			list = append(list, o)
			continue
		}
		if o.off < n.off {
			left := o
			left.data = o.data[:n.off-o.off]
			list = append(list, left)
		}
		if o.end() > n.end() {
			right := o
			right.off, right.data = n.end(), o.data[n.end()-o.off:]
			list = append(list, right)
		}
	}
	if !stable {
		n.data = append([]byte(nil), n.data...)
		list = append(list, n)
	}
	k.set(list)
}

func (k *keep) set(list []kept) {
	k.list, k.bytes = list, 0
	for i := range list {
		k.bytes += len(list[i].data)
	}
}

// full reports whether so much is kept that it is time to make it stable.
func (k *keep) full(most int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes > most || len(k.list) > maxKept
}

// take returns all that is kept. Nobody writes meanwhile.
func (k *keep) take() (list []kept, doubtful bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list, k.doubtful
}

func (k *keep) replace(list []kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set(list)
	k.doubtful = false
}

// inDoubt reports whether something that was written may be lost.
func (f *File) inDoubt() bool {
	f.keep.mu.Lock()
	defer f.keep.mu.Unlock()
	now := f.v.c.doubts.Load()
	for i := range f.keep.list {
		if f.keep.list[i].doubts != now {
			return true
		}
	}
	return f.keep.doubtful
}

// settled looks at the file when all that a gateway may have lost has been written again: what is read then is what was written. It looks
// again if a gateway failed meanwhile: another one may have answered before the loss was made good.
func (f *File) settled(look func() error) error {
	for {
		if f.inDoubt() {
			if err := f.sync(); err != nil {
				return err
			}
		}
		if err := look(); err != nil || !f.inDoubt() {
			return err
		}
	}
}

// sync makes stable what is kept, at the gateways that have it. What one of them does not have any more is written again.
func (f *File) sync() error {
	f.order.Lock()
	defer f.order.Unlock()
	list, _ := f.keep.take()
	if len(list) == 0 {
		return nil
	}
	verifiers := map[string][]byte{} // nil: the gateway does not answer
	for i := range list {
		g := list[i].gateway
		if _, asked := verifiers[g]; asked {
			continue
		}
		verifier, err := f.commit(g)
		if err != nil {
			return err
		}
		verifiers[g] = verifier
	}
	for i := range list {
		if v := verifiers[list[i].gateway]; len(v) > 0 && causeway.Verifier(v) == list[i].verifier {
			continue
		}
		if err := f.write("", list[i].data, list[i].off, causeway.FileSync); err != nil {
			return err
		}
	}
	f.keep.replace(nil)
	return nil
}

// commit makes stable what a gateway has, and returns its verifier; nil: it does not answer.
func (f *File) commit(gateway string) ([]byte, error) {
	c := f.v.c
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		if c.path(f.v.name, gateway) != gateway {
			return nil, nil
		}
		var r *clientpb.WriteReply
		err := c.once(f.ctx, gateway, func(ctx context.Context, files clientpb.FilesClient) (outcome, error) {
			m, err := files.Commit(ctx, &clientpb.Request{Caller: c.caller, Handle: f.handle})
			r = m
			return m, err
		})
		switch {
		case errors.Is(err, errPath):
			return nil, nil
		case err == nil && len(r.Verifier) == len(causeway.Verifier{}):
			return r.Verifier, nil
		case err == nil:
			return nil, nil
		case !again(err):
			return nil, err
		}
		if err := c.pause(f.ctx, wait); err != nil {
			return nil, err
		}
	}
}
