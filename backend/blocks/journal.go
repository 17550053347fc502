package blocks

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"hash/crc32"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks/device"
	"causeway/backend/mem"
)

// The journal lies on the device before the contents: a block that says where it starts, and two halves. The one in use
// begins with a picture of the whole volume, and what changed since follows. When it is full the picture of that moment goes
// to the other half, which is in use from then on. Records carry the number of the picture in their checksum, so that what a
// half held before is no record. They are gob, since names are bytes and not text.

// super is the first block of a volume.
type super struct {
	Generation uint64 // of the tree: part of all object ids
	LogBlocks  uint64 // of each half
	Picture    uint64 // the number of the picture in use; it lies in the half Picture%2
}

func (p *super) data() uint64 { return 1 + 2*p.LogBlocks }

// record is one entry.
type record struct {
	Picture *picture // the first one of a half, and no other
	Op      *treeOp
	// Of the map: pages of a file become what they say, or all that is provisional of it is taken back.
	Ino                uint64
	Provisional, Valid []run
	Settled            bool
}

// picture is a volume.
type picture struct {
	Tree  mem.Image
	Files []fileImage
}

type fileImage struct {
	Ino                uint64
	Provisional, Valid []run
}

// treeOp is what of a mem.Op is needed to do it again.
type treeOp struct {
	Kind    mem.OpKind
	Seq     uint64
	Time    causeway.Time
	Dir, To causeway.ObjectID
	Object  causeway.ObjectID
	Name    string
	NewName string
	IsDir   bool
	Spec    backend.CreateSpec
	Set     causeway.SetAttr
	Offset  uint64
	Span    causeway.Span
}

func treeOpOf(op *mem.Op) *treeOp {
	return &treeOp{op.Kind, op.Seq, op.Time, op.Dir, op.To, op.Object, op.Name, op.NewName, op.IsDir, op.Spec, op.Set, op.Offset, op.Span}
}

func (t *treeOp) op() *mem.Op {
	return &mem.Op{Kind: t.Kind, Seq: t.Seq, Time: t.Time, Dir: t.Dir, To: t.To, Object: t.Object, Name: t.Name, NewName: t.NewName,
		IsDir: t.IsDir, Spec: t.Spec, Set: t.Set, Offset: t.Offset, Span: t.Span}
}

const frame = 8 // bytes before a record: its length, its checksum

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(number uint64, b []byte) uint32 {
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], number)
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, b)
}

// encode returns a record of the half that begins with a picture of this number.
func encode(number uint64, r *record) []byte {
	var b bytes.Buffer
	b.Write(make([]byte, frame))
	if err := gob.NewEncoder(&b).Encode(r); err != nil {
		panic(err) // of types that gob does not know: none of these
	}
	out := b.Bytes()
	binary.BigEndian.PutUint32(out, uint32(len(out)-frame))
	binary.BigEndian.PutUint32(out[4:], checksum(number, out[frame:]))
	return out
}

// decode returns the record at the start of b and its length, nil if there is none.
func decode(number uint64, b []byte) (*record, int) {
	if len(b) < frame {
		return nil, 0
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n == 0 || n > int64(len(b)-frame) {
		return nil, 0
	}
	body := b[frame : frame+n]
	if checksum(number, body) != binary.BigEndian.Uint32(b[4:]) {
		return nil, 0
	}
	r := new(record)
	if gob.NewDecoder(bytes.NewReader(body)).Decode(r) != nil {
		return nil, 0
	}
	return r, frame + int(n)
}

// half returns where a half begins, in bytes.
func (o *owner) half(number uint64) uint64 { return (1 + number%2*o.super.LogBlocks) * o.s.size }

// noteLocked adds a record to what the next flush writes.
func (o *owner) noteLocked(r *record) { o.pending = append(o.pending, encode(o.super.Picture, r)...) }

// flush returns when all that was noted before is stable. What others noted meanwhile goes with it. Where the device
// refuses, the ownership is over.
func (o *owner) flush(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // a record of which a part was written would hide what follows
	o.flushing.Lock()
	defer o.flushing.Unlock()
	if err := o.failed(); err != nil {
		return err
	}
	o.mu.Lock()
	b, freed := o.pending, o.freed
	if o.end+uint64(len(b)) > o.super.LogBlocks*o.s.size {
		o.mu.Unlock()
		return o.ended(o.picture(ctx))
	}
	o.pending, o.freed = nil, nil
	o.mu.Unlock()
	if err := o.ended(o.append(ctx, o.super.Picture, b)); err != nil {
		return err
	}
	o.mu.Lock()
	o.free = append(o.free, freed...)
	o.mu.Unlock()
	return nil
}

// append writes behind the end of a half.
func (o *owner) append(ctx context.Context, number uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	b = append(o.tail, b...)
	at := o.end - uint64(len(o.tail))
	o.end += uint64(len(b) - len(o.tail))
	whole := len(b) / int(o.s.size) * int(o.s.size)
	o.tail = bytes.Clone(b[whole:])
	if len(o.tail) > 0 {
		b = append(b, make([]byte, int(o.s.size)-len(o.tail))...)
	}
	return o.write(ctx, o.half(number)+at, b)
}

// picture puts a picture of the volume into the other half, and goes on there.
func (o *owner) picture(ctx context.Context) error {
	o.gate.Lock()
	defer o.gate.Unlock()
	next := o.super
	next.Picture++
	tree := o.tree.Image()
	named := map[uint64]bool{}
	for i := range tree.Objects {
		tree.Objects[i].Pages = nil
		named[tree.Objects[i].Attr.FileID] = true
	}
	o.mu.Lock()
	p := picture{Tree: tree, Files: o.imageLocked(named)}
	b := encode(next.Picture, &record{Picture: &p})
	before, freed := o.super, o.freed
	o.pending, o.freed = nil, nil
	o.super = next
	o.mu.Unlock()
	if uint64(len(b)) > next.LogBlocks*o.s.size {
		o.super = before
		return causeway.ErrNoSpc
	}
	o.end, o.tail = 0, nil
	if err := o.append(ctx, next.Picture, b); err != nil {
		return err
	}
	if err := o.writeSuper(ctx); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.free = append(o.free, freed...)
	return nil
}

func (o *owner) imageLocked(named map[uint64]bool) (list []fileImage) {
	for ino, f := range o.files {
		if len(f.pages) == 0 || !named[ino] {
			continue
		}
		x := fileImage{Ino: ino}
		for _, n := range sorted(f.pages) {
			if p := f.pages[n]; p.provisional {
				x.Provisional = add(x.Provisional, n, p.block)
			} else {
				x.Valid = add(x.Valid, n, p.block)
			}
		}
		list = append(list, x)
	}
	return list
}

func (o *owner) writeSuper(ctx context.Context) error {
	b := make([]byte, o.s.size)
	r := encode(0, &record{Ino: o.super.Generation, Valid: []run{{o.super.LogBlocks, o.super.Picture, 0}}})
	if len(r) > len(b) {
		return causeway.ErrServerFault
	}
	copy(b, r)
	return o.write(ctx, 0, b)
}

func (o *owner) readSuper(ctx context.Context) (found bool, err error) {
	b := make([]byte, o.s.size)
	if err := o.read(ctx, 0, b); err != nil {
		return false, err
	}
	r, _ := decode(0, b)
	switch {
	case r != nil && len(r.Valid) == 1 && r.Valid[0].Page < o.s.count/2:
		o.super = super{Generation: r.Ino, LogBlocks: r.Valid[0].Page, Picture: r.Valid[0].Block}
		return true, nil
	case r == nil && bytes.Equal(b, make([]byte, len(b))):
		return false, nil
	}
	return false, causeway.ErrIO // there is something, but no volume
}

func (o *owner) read(ctx context.Context, off uint64, p []byte) error {
	return inParts(off, p, func(off uint64, p []byte) error { return o.s.ReadBlocks(ctx, o.tag, off, p) })
}

func (o *owner) write(ctx context.Context, off uint64, p []byte) error {
	return inParts(off, p, func(off uint64, p []byte) error { return o.s.WriteBlocks(ctx, o.tag, off, p) })
}

func inParts(off uint64, p []byte, f func(off uint64, p []byte) error) error {
	for len(p) > 0 {
		n := min(len(p), device.MaxIO)
		if err := f(off, p[:n]); err != nil {
			return err
		}
		p, off = p[n:], off+uint64(n)
	}
	return nil
}
