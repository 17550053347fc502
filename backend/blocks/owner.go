package blocks

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
)

// owner is an ownership of the volume: the tree and the map in memory.
//
// Locks: flushing, then gate, then those of the tree, then mu.
type owner struct {
	s    *Store
	tag  backend.Tag
	tree *mem.Store
	only *Store // that knows this ownership and no other

	flushing sync.Mutex
	end      uint64 // of what is written of the half in use, in bytes; guarded by flushing
	tail     []byte // what is written of the last block of it; likewise

	gate sync.RWMutex // held alone while a picture is taken, shared by changes

	mu      sync.Mutex
	super   super
	files   map[uint64]*file
	free    []uint64 // blocks, the next one last
	freed   []uint64 // blocks that are free once what is pending is stable
	pending []byte   // records
	err     error    // the ownership is over
}

func (o *owner) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// ended notes why the journal cannot be written, after which nothing can be promised any more.
func (o *owner) ended(err error) error {
	if err != nil {
		o.mu.Lock()
		o.err = err
		o.mu.Unlock()
	}
	return err
}

// recoverOwner reads what the last owner left.
func recoverOwner(ctx context.Context, s *Store, tag backend.Tag) (*owner, error) {
	o := &owner{s: s, tag: tag, files: map[uint64]*file{}}
	found, err := o.readSuper(ctx)
	if err != nil {
		return nil, err
	}
	if found {
		err = o.replay(ctx)
	} else {
		o.format()
	}
	if err != nil {
		return nil, err
	}
	o.pending, o.freed = nil, nil // of what was replayed
	o.findFree()
	return o, o.picture(ctx)
}

func (o *owner) config() mem.Config {
	return mem.Config{
		Generation: o.super.Generation, Clock: o.s.cfg.Clock, Mode: o.s.cfg.Mode, Observe: o.observe, Used: o.used, Forgot: o.forgot,
	}
}

func (o *owner) format() {
	var b [8]byte
	rand.Read(b[:])
	o.super = super{Generation: binary.BigEndian.Uint64(b[:]) | 1, LogBlocks: o.s.cfg.LogBlocks}
	if o.super.LogBlocks == 0 {
		o.super.LogBlocks = o.s.count / 8
	}
	o.super.LogBlocks = min(o.super.LogBlocks, o.s.count/2-2)
	o.tree = mem.New(o.config())
}

// replay does what the journal says.
func (o *owner) replay(ctx context.Context) error {
	b := make([]byte, o.super.LogBlocks*o.s.size)
	if err := o.read(ctx, o.half(o.super.Picture), b); err != nil {
		return err
	}
	first, n := decode(o.super.Picture, b)
	if first == nil || first.Picture == nil {
		return causeway.ErrIO
	}
	var err error
	if o.tree, err = mem.Load(o.config(), first.Picture.Tree); err != nil {
		return &causeway.Error{Op: "recover", Code: causeway.ErrIO, Err: err}
	}
	for _, x := range first.Picture.Files {
		f := o.fileLocked(x.Ino)
		o.putLocked(f, x.Provisional, true)
		o.putLocked(f, x.Valid, false)
	}
	for {
		b = b[n:]
		var r *record
		if r, n = decode(o.super.Picture, b); r == nil {
			return nil
		}
		o.redo(ctx, r)
	}
}

// redo does a record again. What it says of an object that has lost its last name meanwhile was lost with that.
func (o *owner) redo(ctx context.Context, r *record) {
	if r.Op != nil {
		op := r.Op.op()
		if o.tree.Replay(op) == nil {
			o.followLocked(op)
		}
		return
	}
	id := o.tree.Root() // ids differ in the number only
	binary.BigEndian.PutUint64(id[:], r.Ino)
	if _, err := o.tree.Stat(ctx, id); err != nil {
		return
	}
	f := o.fileLocked(r.Ino)
	if r.Settled {
		o.settleLocked(r.Ino)
	}
	o.putLocked(f, r.Provisional, true)
	o.putLocked(f, r.Valid, false)
}

// findFree lists the blocks that are nobody's, so that those with low numbers are taken first.
func (o *owner) findFree() {
	taken := map[uint64]bool{}
	for _, f := range o.files {
		for _, p := range f.pages {
			taken[p.block] = true
		}
	}
	for block := o.s.count; block > o.super.data(); block-- {
		if !taken[block-1] {
			o.free = append(o.free, block-1)
		}
	}
}

// observe notes a change of the tree.
func (o *owner) observe(op *mem.Op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.noteLocked(&record{Op: treeOpOf(op)})
	o.followLocked(op)
}

// followLocked takes from the map what a change of the tree takes from a file.
func (o *owner) followLocked(op *mem.Op) {
	switch {
	case op.Kind == mem.OpSetStat && op.Set.Has(causeway.SetSize):
		o.truncateLocked(inoOf(op.Object), op.Set.Size)
	case op.Kind == mem.OpPunch:
		o.punchLocked(inoOf(op.Object), op.Span)
	}
}

func sorted(pages map[uint64]page) []uint64 { return slices.Sorted(maps.Keys(pages)) }
