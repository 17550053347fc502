package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/spelling"
)

// spelt returns how a directory spells a name, in a volume that takes several spellings for the same: as asked if it has that name, or none
// that is the same. What two names that differ in nothing that counts stand for, if others made them beside the gateways, is told apart by
// their exact spellings.
func (e *Engine) spelt(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (string, error) {
	v, err := e.volume(dir.Volume)
	if err != nil || !e.folds(v) || name == "." || name == ".." || causeway.CheckName(name) != causeway.OK {
		return name, nil // what is wrong with it, who uses it says
	}
	if _, _, err := v.store.Lookup(ctx, dir.Object, name); !errors.Is(err, causeway.ErrNoEnt) {
		return name, nil
	}
	attr, err := v.store.Stat(ctx, dir.Object)
	if err != nil || attr.Type != causeway.TypeDirectory {
		return name, nil
	}
	key, now := e.cfg.Fold(name), time.Now()
	stored, known := e.spellings.Find(dir, &attr, key, now)
	if !known {
		if c.NoWait {
			return "", causeway.ErrWouldBlock
		}
		if stored, err = e.spellingIn(ctx, v, dir, &attr, key, now); err != nil {
			return "", err
		}
	}
	if stored == "" {
		return name, nil
	}
	return stored, nil
}

// maxListings is how many directories are listed for spellings at a time: each takes memory for all names of one.
const maxListings = 4

// spellingIn lists a directory for the spelling of a name, and remembers all of them.
func (e *Engine) spellingIn(ctx context.Context, v *volume, dir causeway.Handle, attr *causeway.Attr, key string, now time.Time) (string, error) {
	select {
	case e.listings <- struct{}{}:
		defer func() { <-e.listings }()
	case <-ctx.Done():
		return "", causeway.ErrDelay
	}
	byKey, stored := map[string]string{}, ""
	eof, err := v.store.List(ctx, dir.Object, 0, false, func(x *causeway.DirEntry) bool {
		k := e.cfg.Fold(x.Name)
		if k == key && stored == "" {
			stored = strings.Clone(x.Name)
		}
		spelling.Gather(byKey, k, x.Name)
		return true
	})
	if err != nil {
		return "", err
	}
	if after, err := v.store.Stat(ctx, dir.Object); err == nil && eof && spelling.Same(&after, attr) {
		e.spellings.Listed(dir, attr, byKey, now)
	}
	return stored, nil
}

// speltTarget is spelt for the new name of a rename: an object may take another spelling of its own name.
func (e *Engine) speltTarget(ctx context.Context, c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (string, error) {
	stored, err := e.spelt(ctx, c, to, newName)
	if err == nil && from == to && stored == name {
		return newName, nil
	}
	return stored, err
}

// folds reports whether a volume takes several spellings of a name for the same.
func (e *Engine) folds(v *volume) bool { return v.SMB.CaseInsensitive && e.cfg.Fold != nil }

// holdName lets nobody else make a name, or one that is the same, in a volume where that is not the storage's affair alone. What is held is
// let go before a lease's holder is waited for.
func (e *Engine) holdName(v *volume, dir causeway.Handle, name string) (release func()) {
	if !e.folds(v) {
		return func() {}
	}
	return e.opening.lock(dir, e.cfg.Fold(name))
}

// lockOpening is the lock of a name that is being opened.
func (e *Engine) lockOpening(v *volume, dir causeway.Handle, name string) (unlock func()) {
	if e.folds(v) {
		name = e.cfg.Fold(name)
	}
	return e.opening.lock(dir, name)
}

// made and gone follow what a change of names does to the spellings that are known.
func (e *Engine) made(v *volume, dir causeway.Handle, ch *causeway.Change, name string) {
	if e.folds(v) {
		e.spellings.Made(dir, ch, e.cfg.Fold(name), strings.Clone(name))
	}
}

func (e *Engine) gone(v *volume, dir causeway.Handle, ch *causeway.Change, name string) {
	if e.folds(v) {
		e.spellings.Gone(dir, ch, e.cfg.Fold(name), name)
	}
}
