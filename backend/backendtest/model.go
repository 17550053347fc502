package backendtest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"causeway"
)

// thing is an object of the model.
type thing struct {
	id      causeway.ObjectID
	typ     causeway.FileType
	mode    uint32
	names   int
	parent  *thing
	entries map[string]*thing // of a directory
	data    []byte            // of a file
}

// model does what the Store does, by maps.
type model struct {
	*volume
	rnd  *rand.Rand
	root *thing
	dead []causeway.ObjectID
}

var modelTests = []test{
	{"Model/random operations", func(v *volume) {
		steps := 3000
		if testing.Short() {
			steps = 500
		}
		m := &model{volume: v, rnd: rand.New(rand.NewPCG(20, 26)), root: &thing{id: v.root, typ: causeway.TypeDirectory, entries: make(map[string]*thing)}}
		m.root.parent = m.root
		for range steps {
			m.step()
		}
		m.compare(m.root)
		for _, id := range m.dead {
			_, err := v.s.Stat(v.ctx, id)
			v.code(err, causeway.ErrStale)
		}
		if v.o.Reopen != nil && v.caps.StableIDs {
			v.reopen(m.syncAll(m.root)...)
			m.compare(m.root)
		}
	}},
}

func (m *model) step() {
	dir, name := m.pickDir(), m.pickName()
	at := dir.entries[name]
	switch m.rnd.IntN(9) {
	case 0, 1:
		m.create(dir, name, at)
	case 2:
		m.remove(dir, name, at)
	case 3, 4:
		m.rename(dir, name, at)
	case 5:
		m.link(at)
	case 6:
		m.write(at)
	case 7:
		m.chmod(at)
	case 8:
		m.lookup(dir, name, at)
	}
}

// pickDir walks down from the root.
func (m *model) pickDir() *thing {
	d := m.root
	for m.rnd.IntN(3) > 0 {
		at := d.entries[m.pickName()]
		if at == nil || at.entries == nil {
			break
		}
		d = at
	}
	return d
}

func (m *model) pickName() string { return string(rune('a' + m.rnd.IntN(7))) }

func (m *model) create(dir *thing, name string, at *thing) {
	typ := causeway.FileType(1 + m.rnd.IntN(2))
	if m.caps.Symlinks && m.rnd.IntN(5) == 0 {
		typ = causeway.TypeSymlink
	}
	mode := uint32(0o777)
	if m.caps.Modes && typ != causeway.TypeSymlink {
		mode = uint32(m.rnd.IntN(0o1000)) | 0o700
	}
	id, a, err := m.s.Create(m.ctx, dir.id, name, m.spec(typ, mode))
	if at != nil {
		m.code(err, causeway.ErrExist)
		return
	}
	m.ok(err)
	m.check(!slices.Contains(m.dead, id), "an id is used again")
	n := &thing{id: id, typ: typ, mode: a.Mode, names: 1}
	if typ == causeway.TypeDirectory {
		n.parent, n.entries = dir, make(map[string]*thing)
	}
	dir.entries[name] = n
}

func (m *model) remove(dir *thing, name string, at *thing) {
	wantDir := at != nil && at.entries != nil
	if m.rnd.IntN(5) == 0 {
		wantDir = !wantDir
	}
	err := m.s.Remove(m.ctx, dir.id, name, wantDir)
	switch {
	case at == nil:
		m.code(err, causeway.ErrNoEnt)
	case wantDir && at.entries == nil:
		m.code(err, causeway.ErrNotDir)
	case !wantDir && at.entries != nil:
		m.code(err, causeway.ErrIsDir)
	case len(at.entries) > 0:
		m.code(err, causeway.ErrNotEmpty)
	default:
		m.ok(err)
		delete(dir.entries, name)
		m.unnamed(at)
	}
}

func (m *model) unnamed(n *thing) {
	if n.names--; n.names == 0 {
		m.dead = append(m.dead, n.id)
	}
}

func (m *model) rename(dir *thing, name string, at *thing) {
	to, newName := m.pickDir(), m.pickName()
	target := to.entries[newName]
	var want []causeway.Code
	switch {
	case at == nil:
		want = []causeway.Code{causeway.ErrNoEnt}
	case at == target:
	default:
		want = m.refusals(at, to, target)
	}
	if target != nil && at != target && want == nil && !m.caps.Replace {
		return
	}
	err := m.s.Rename(m.ctx, dir.id, name, to.id, newName)
	if want != nil {
		m.code(err, want...)
		return
	}
	m.ok(err)
	if at == target {
		return
	}
	delete(dir.entries, name)
	to.entries[newName] = at
	if at.entries != nil {
		at.parent = to
	}
	if target != nil {
		m.unnamed(target)
	}
}

// refusals are the codes that all are right for a rename.
func (m *model) refusals(at, to, target *thing) (want []causeway.Code) {
	for d := to; at.entries != nil; d = d.parent {
		if d == at {
			want = append(want, causeway.ErrInval)
		}
		if d == d.parent {
			break
		}
	}
	if target == nil {
		return want
	}
	if at.entries == nil && target.entries != nil {
		want = append(want, causeway.ErrIsDir)
	}
	if at.entries != nil && target.entries == nil {
		want = append(want, causeway.ErrNotDir)
	}
	if len(target.entries) > 0 {
		want = append(want, causeway.ErrNotEmpty)
	}
	return want
}

func (m *model) link(at *thing) {
	to, newName := m.pickDir(), m.pickName()
	if at == nil || !m.caps.HardLinks {
		return
	}
	err := m.s.Link(m.ctx, at.id, to.id, newName)
	switch {
	case at.entries != nil:
		m.code(err, causeway.ErrPerm, causeway.ErrExist)
	case to.entries[newName] != nil:
		m.code(err, causeway.ErrExist)
	default:
		m.ok(err)
		to.entries[newName] = at
		at.names++
	}
}

func (m *model) write(at *thing) {
	if at == nil || at.typ != causeway.TypeRegular {
		return
	}
	off, n := m.rnd.IntN(10000), m.rnd.IntN(3000)
	if m.rnd.IntN(3) == 0 {
		m.set(at.id, causeway.SetAttr{Mask: causeway.SetSize, Size: uint64(off)})
		at.data = resized(at.data, off)
		return
	}
	o := m.open(at.id, causeway.IOReadWrite)
	at.data = m.writeBoth(o, m.rnd, at.data, off, n)
	m.ok(o.Close())
}

func (m *model) chmod(at *thing) {
	if at == nil || at.typ == causeway.TypeSymlink || !m.caps.Modes {
		return
	}
	at.mode = uint32(m.rnd.IntN(0o1000)) | 0o700
	m.set(at.id, causeway.SetAttr{Mask: causeway.SetMode, Mode: at.mode})
}

func (m *model) lookup(dir *thing, name string, at *thing) {
	if at == nil {
		m.misses(dir.id, name)
		return
	}
	m.same(m.finds(dir.id, name, at.id), at)
}

// same wants attributes to be those of the model.
func (m *model) same(a causeway.Attr, n *thing) {
	m.Helper()
	m.check(a.Type == n.typ, "type %d, want %d", a.Type, n.typ)
	if n.typ == causeway.TypeRegular {
		m.check(a.Size == uint64(len(n.data)), "size %d, want %d", a.Size, len(n.data))
	}
	if n.entries == nil {
		m.check(!m.caps.HardLinks || a.Nlink == uint32(n.names), "%d links, want %d", a.Nlink, n.names)
	}
	if n != m.root {
		m.check(!m.caps.Modes || a.Mode == n.mode, "mode %o, want %o", a.Mode, n.mode)
	}
}

// compare walks model and Store.
func (m *model) compare(dir *thing) {
	m.Helper()
	m.same(m.stat(dir.id), dir)
	m.finds(dir.id, "..", dir.parent.id)
	seen := m.list(dir.id)
	m.check(len(seen) == len(dir.entries)+2, "names %v, want %v", slices.Collect(maps.Keys(seen)), slices.Collect(maps.Keys(dir.entries)))
	for name, n := range dir.entries {
		m.check(seen[name] == 1, "%q is listed %d times", name, seen[name])
		m.same(m.finds(dir.id, name, n.id), n)
		if n.entries != nil {
			m.compare(n)
		}
		if n.typ == causeway.TypeRegular {
			got := m.read(n.id, 0, len(n.data)+1)
			m.check(got == string(n.data), "%q: content differs", name)
		}
	}
}

// syncAll syncs all files and returns all ids.
func (m *model) syncAll(dir *thing) []causeway.ObjectID {
	ids := []causeway.ObjectID{dir.id}
	for _, n := range dir.entries {
		ids = append(ids, n.id)
		if n.entries != nil {
			ids = append(ids, m.syncAll(n)...)
		}
		if n.typ == causeway.TypeRegular {
			o := m.open(n.id, causeway.IOReadWrite)
			m.ok(o.Sync(m.ctx, false))
			m.ok(o.Close())
		}
	}
	return ids
}
