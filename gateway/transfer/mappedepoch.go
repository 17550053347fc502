package transfer

import (
	"context"
	"errors"

	"causeway"
	"causeway/backend"
)

// errEnded says that I/O came after its grant had been given up: it is done under a new one.
var errEnded = &causeway.Error{Op: "map", Code: causeway.ErrDelay}

func (m *mapped) tag() backend.Tag { return backend.Tag{Epoch: *m.epoch.Load(), Key: m.key} }

// do does I/O of the device. Where a new owner has claimed the volume and not yet taken the grant over, it waits for that.
func (m *mapped) do(ctx context.Context, io func(backend.Tag) error) error {
	for {
		t := m.tag()
		err := io(t)
		if err == nil || isFence(err) || causeway.CodeOf(err) != causeway.ErrStaleEpoch || !m.follows(ctx, t.Epoch) {
			return m.refused(err)
		}
	}
}

// follows waits until the grant is of another epoch than this, for as long as a grant lasts that nobody renews; false if it is not.
func (m *mapped) follows(ctx context.Context, e causeway.Epoch) bool {
	ctx, cancel := context.WithTimeout(ctx, m.lease)
	defer cancel()
	for {
		m.mu.Lock()
		moved := m.moved
		m.mu.Unlock()
		if *m.epoch.Load() != e {
			return true
		}
		select {
		case <-moved:
		case <-m.engine.cache.stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// follow takes the grant over into a new epoch.
func (m *mapped) follow(e causeway.Epoch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch.Store(&e)
	close(m.moved)
	m.moved = make(chan struct{})
}

// refused is what a failure of the device is to clients: what a fence refused they may send again.
func (m *mapped) refused(err error) error {
	if err == nil {
		return nil
	}
	if isFence(err) {
		m.engine.fenced(m.vol, m.key)
	}
	if causeway.CodeOf(err) == causeway.ErrStaleEpoch {
		return causeway.ErrDelay
	}
	return err
}

func isFence(err error) bool {
	var e *causeway.Error
	return errors.As(err, &e) && e == backend.ErrFenced
}

// lost reports that the device refuses the key.
func (m *mapped) lost() bool { return m.key <= m.vol.lost.Load() }

// fenced notes that the device refuses a key: everything that was written under it and not committed is lost, and so are all
// grants that were used with it.
func (e *Engine) fenced(v *volume, key uint64) {
	for {
		lost := v.lost.Load()
		if key <= lost {
			return
		}
		if v.lost.CompareAndSwap(lost, key) {
			break
		}
	}
	v.verifier.bump()
}
