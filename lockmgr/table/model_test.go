package table

import (
	"fmt"
	"slices"
	"testing"

	"causeway"

	"pgregory.net/rapid"
)

// model is the table as one would write it if nothing had to be fast: one mode per byte, owner and object.
type model struct {
	bytes map[causeway.Handle]map[causeway.Owner]*[modelBytes]mode
	queue []Lock
	log   []string
}

// modelBytes: random spans begin in the first half and end in it or the second one; the last byte stands for all behind it, which
// only spans to the end of all files reach.
const modelBytes = 32

func newModel() *model {
	return &model{bytes: make(map[causeway.Handle]map[causeway.Owner]*[modelBytes]mode)}
}

func (m *model) of(h causeway.Handle, o causeway.Owner) *[modelBytes]mode {
	if m.bytes[h] == nil {
		m.bytes[h] = make(map[causeway.Owner]*[modelBytes]mode)
	}
	if m.bytes[h][o] == nil {
		m.bytes[h][o] = new([modelBytes]mode)
	}
	return m.bytes[h][o]
}

func inSpan(s causeway.Span, i int) bool { return uint64(i) >= s.Offset && uint64(i) < s.End() }

// blockers returns the owners whose locks forbid l.
func (m *model) blockers(l Lock) []causeway.Owner {
	var list []causeway.Owner
	for o, b := range m.bytes[l.Handle] {
		for i, has := range b {
			if o != l.Owner && inSpan(l.Span, i) && (has == exclusive || has == shared && l.Exclusive) {
				list = append(list, o)
				break
			}
		}
	}
	return list
}

func (m *model) set(l Lock, to mode) {
	b := m.of(l.Handle, l.Owner)
	for i := range b {
		if inSpan(l.Span, i) {
			b[i] = to
		}
	}
}

func (m *model) lock(l Lock, wait bool) causeway.Code {
	by := m.blockers(l)
	if len(by) == 0 {
		m.queue = slices.DeleteFunc(m.queue, func(q Lock) bool { return q == l })
		m.set(l, modeOf(l.Exclusive))
		m.wake()
		return causeway.OK
	}
	if !wait {
		return causeway.ErrLocked
	}
	if slices.Contains(m.queue, l) {
		return causeway.ErrBlocked
	}
	if m.reaches(by, l.Owner, map[causeway.Owner]bool{}) {
		return causeway.ErrDeadlock
	}
	m.queue = append(m.queue, l)
	return causeway.ErrBlocked
}

func (m *model) reaches(from []causeway.Owner, to causeway.Owner, seen map[causeway.Owner]bool) bool {
	for _, o := range from {
		if o == to {
			return true
		}
		if seen[o] {
			continue
		}
		seen[o] = true
		for _, q := range m.queue {
			if q.Owner == o && m.reaches(m.blockers(q), to, seen) {
				return true
			}
		}
	}
	return false
}

func (m *model) wake() {
	for i := 0; i < len(m.queue); i++ {
		if l := m.queue[i]; len(m.blockers(l)) == 0 {
			m.queue = slices.Delete(m.queue, i, i+1)
			m.log = append(m.log, show(l))
			m.set(l, modeOf(l.Exclusive))
			i = -1
		}
	}
}

func (m *model) releaseWhere(gone func(causeway.Owner) bool) {
	m.queue = slices.DeleteFunc(m.queue, func(l Lock) bool { return gone(l.Owner) })
	for _, owners := range m.bytes {
		for o := range owners {
			if gone(o) {
				delete(owners, o)
			}
		}
	}
	m.wake()
}

// agree compares the table's locks with the model's bytes.
func (m *model) agree(t *Table) error {
	got := newModel()
	for l := range t.Held() {
		got.set(l, modeOf(l.Exclusive))
	}
	for h, owners := range m.bytes {
		for o, b := range owners {
			if *got.of(h, o) != *b {
				return fmt.Errorf("%v %v: table %v, model %v", h, o, *got.of(h, o), *b)
			}
			delete(got.bytes[h], o)
		}
	}
	for h, owners := range got.bytes {
		for o, b := range owners {
			if *b != [modelBytes]mode{} {
				return fmt.Errorf("%v %v: only the table holds %v", h, o, *b)
			}
		}
	}
	if w := t.Waiting(); !slices.Equal(w, m.queue) {
		return fmt.Errorf("table waits %v, model %v", w, m.queue)
	}
	return nil
}

// step is one random operation on both.
type step struct {
	Verb, Client, Owner, Object, Offset, Length uint8
	Exclusive, Wait                             bool
}

func (s step) lock() Lock {
	span := causeway.Span{Offset: uint64(s.Offset % (modelBytes / 2)), Length: uint64(s.Length%(modelBytes/2)) + 1}
	if s.Length%8 == 7 {
		span.Length = causeway.ToEOF
	}
	return Lock{object1(string('a' + rune(s.Object%3))), owner1(fmt.Sprintf("c%d/%d", s.Client%2, s.Owner%3)), span, s.Exclusive}
}

func (s step) do(t *Table, m *model) error {
	l := s.lock()
	r := Request{Span: l.Span, Exclusive: l.Exclusive, Wait: s.Wait}
	got, want := causeway.OK, causeway.OK
	switch s.Verb % 16 {
	default:
		_, got = t.Lock(l.Handle, l.Owner, r)
		want = m.lock(l, s.Wait)
	case 8, 9, 10, 11:
		got = t.Unlock(l.Handle, l.Owner, l.Span)
		m.set(l, unlocked)
		m.wake()
	case 12:
		if _, got = t.Test(l.Handle, l.Owner, r); len(m.blockers(l)) > 0 {
			want = causeway.ErrLocked
		}
	case 13:
		got = t.Cancel(l.Handle, l.Owner, r)
		if i := slices.Index(m.queue, l); i >= 0 {
			m.queue = slices.Delete(m.queue, i, i+1)
		} else {
			want = causeway.ErrNoEnt
		}
	case 14:
		t.ReleaseOwner(l.Owner)
		m.releaseWhere(func(o causeway.Owner) bool { return o == l.Owner })
	case 15:
		t.ReleaseClient(ClientOf(l.Owner))
		m.releaseWhere(func(o causeway.Owner) bool { return o.Client == l.Owner.Client })
	}
	return compare(t, m, got, want)
}

// compare looks at the answers, the grants (in any order: a release of several objects has none) and the state.
func compare(t *Table, m *model, got, want causeway.Code) error {
	if got != want {
		return fmt.Errorf("table answers %v, model %v", got, want)
	}
	var granted []string
	for _, e := range t.Effects() {
		granted = append(granted, show(e.Lock))
	}
	slices.Sort(granted)
	slices.Sort(m.log)
	if !slices.Equal(granted, m.log) {
		return fmt.Errorf("table grants %v, model %v", granted, m.log)
	}
	m.log = nil
	if err := t.check(); err != nil {
		return err
	}
	return m.agree(t)
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.Make[step](), 1, 200).Draw(r, "steps")
		table, m := New(Limits{}), newModel()
		for i, s := range steps {
			if err := s.do(table, m); err != nil {
				r.Fatalf("step %d, %+v: %v", i, s, err)
			}
		}
	})
}

func FuzzSteps(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, in []byte) {
		table, m := New(Limits{}), newModel()
		for in = in[:min(len(in), 1500)]; len(in) >= 5; in = in[5:] {
			s := step{in[0], in[1] >> 4, in[1], in[2], in[3], in[4], in[2]&0x80 != 0, in[2]&0x40 != 0}
			if err := s.do(table, m); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
		}
	})
}

// TestCarry moves a table's locks into another one, as holders re-assert them at a new owner of a volume.
func TestCarry(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, m := New(Limits{}), newModel()
		for _, s := range rapid.SliceOfN(rapid.Make[step](), 1, 100).Draw(r, "steps") {
			if err := s.do(table, m); err != nil {
				r.Fatal(err)
			}
		}
		other := New(Limits{})
		for l := range table.Held() {
			if by, code := other.Assert(l); code != causeway.OK {
				r.Fatalf("%v: %v by %v", l, code, by)
			}
		}
		m.queue = nil
		if err := m.agree(other); err != nil {
			r.Fatal(err)
		}
	})
}
