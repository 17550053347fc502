package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"causeway"

	"pgregory.net/rapid"
)

// deed is one random call about opens, leases or locks of SMB clients, and of NFS beside them.
type deed struct {
	Verb, Client, Open, Object, Access, Share, Caching, Kind, Offset, Length uint8
	Flag, Other                                                              bool
}

func (d deed) handle() causeway.Handle { return object1(string('f' + rune(d.Object%2))) }

func (d deed) open() (causeway.Owner, causeway.OpenID, causeway.Held) {
	return smbOwner(fmt.Sprintf("s%d/%d", d.Client%3, d.Open%3+d.Client%3*3))
}

func (d deed) lease(client string, id causeway.OpenID) LeaseRequest {
	r := LeaseRequest{ID: causeway.LeaseID{Kind: causeway.LeaseKind(d.Kind % 3), Client: client}, Caching: causeway.Caching(d.Caching % 8), V2: true}
	if r.ID.Kind == causeway.Lease {
		r.ID.Key[0] = 'k' + d.Open%2
	}
	return r
}

// access is never without a name: what is doomed can be told from what is not.
func (d deed) run(t *Table) {
	o, id, h := d.open()
	h.Handle, h.Name = d.handle(), "x"
	h.Access = []causeway.AccessMask{causeway.FileReadData, causeway.FileWriteData, causeway.FileReadData | causeway.Delete, causeway.FileReadAttributes}[d.Access%4]
	h.Share = causeway.ShareAll
	if d.Share%4 == 0 {
		h.Share = causeway.Sharing(d.Share / 4 % 8)
	}
	l := d.lease(o.Client, id)
	s := causeway.Span{Offset: uint64(d.Offset % 8), Length: uint64(d.Length % 8)}
	if d.Kind%2 == 0 && d.Verb%16 >= 10 && d.Verb%16 <= 12 {
		o = owner1(fmt.Sprintf("c%d/0", d.Client%2))
		s.Length++
	}
	switch d.Verb % 16 {
	case 0, 1, 2, 3:
		h.KeepSeconds, h.DeleteOnClose = uint32(d.Length%4), d.Other && h.Access&causeway.Delete != 0
		t.Open(&OpenRequest{Held: h, Lease: l, Empties: d.Flag})
	case 4, 5:
		t.Close(h.Handle, id)
	case 6:
		t.Break(h.Handle, By{o, id}, Op(d.Access%5+1))
	case 7, 8:
		for _, held := range t.HeldIn(1, "") {
			if held.Kind == causeway.HeldLease && held.Breaking {
				t.Acknowledge(held.Handle, held.Lease, held.BreakTo)
				break
			}
		}
	case 9:
		t.Tick()
	case 10, 11:
		t.Lock(h.Handle, o, Request{Span: s, Exclusive: d.Flag, Wait: d.Other})
	case 12:
		t.Unlock(h.Handle, o, s)
	case 13:
		t.Disconnect(h.Handle, id)
	case 14:
		h.Lease = l.ID
		t.Renew(&RenewRequest{h})
	case 15:
		if d.Flag {
			t.SetDelete(h.Handle, id, d.Other)
		} else if d.Other && d.Length%8 == 0 {
			t.ReleaseClient(ClientOf(o))
		}
	}
}

// heldName is what names a Held among others, see causeway.Held.
func heldName(h causeway.Held) causeway.Held {
	n := causeway.Held{Kind: h.Kind, Handle: h.Handle, Owner: h.Owner, Open: h.Open}
	switch h.Kind {
	case causeway.HeldLease:
		n.Lease = h.Lease
	case causeway.HeldLock:
		n.Span = h.Span
	}
	return n
}

// doAll does random things; nothing that must hold is broken, and whoever keeps the latest of each name that the table tells of
// knows all that it holds. From that, in any order, another table is made that holds the same.
func doAll(deeds []deed, shuffle func([]causeway.Held)) error {
	table := New(Limits{BreakTicks: 3})
	table.ObserveChanges()
	kept := make(map[causeway.Held]causeway.Held)
	for i, d := range deeds {
		d.run(table)
		for _, e := range table.Effects() {
			if e.Kind == Doomed {
				table.Removed(e.Handle)
			}
		}
		for _, h := range table.Changes() {
			if delete(kept, heldName(h)); !h.Gone {
				kept[heldName(h)] = h
			}
		}
		if err := table.check(); err != nil {
			return fmt.Errorf("deed %d, %+v: %w", i, d, err)
		}
	}
	want := table.HeldIn(1, "")
	if len(want) != len(kept) {
		return fmt.Errorf("holds %d, told of %d:\n%+v\n%+v", len(want), len(kept), want, kept)
	}
	for _, h := range want {
		if k, ok := kept[heldName(h)]; !ok || k != h {
			return fmt.Errorf("holds %+v, told of %+v", h, k)
		}
	}
	return carry(want, shuffle)
}

// carry asserts a table's state in another one, twice.
func carry(want []causeway.Held, shuffle func([]causeway.Held)) error {
	other, list := New(Limits{BreakTicks: 3}), slices.Clone(want)
	for twice := range 2 {
		shuffle(list)
		for _, kind := range []causeway.HeldKind{causeway.HeldOpen, causeway.HeldLease, causeway.HeldLock} {
			for _, h := range list {
				if h.Kind != kind {
					continue
				}
				if code := other.AssertHeld(&h); code != causeway.OK {
					return fmt.Errorf("%d: %v: %+v", twice, code, h)
				}
			}
		}
	}
	if err := other.check(); err != nil {
		return err
	}
	if got := other.HeldIn(1, ""); !slices.Equal(got, want) {
		return fmt.Errorf("carried over:\n%+v\nwas:\n%+v", got, want)
	}
	other.Drop(1)
	if s := other.Stats(); s.Held+s.Opens+s.Leases+s.Objects+s.Clients+s.Breaking != 0 {
		return fmt.Errorf("dropped, but %+v", s)
	}
	return other.check()
}

func TestDeeds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		deeds := rapid.SliceOfN(rapid.Make[deed](), 1, 150).Draw(r, "deeds")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "order"), 1))
		if err := doAll(deeds, func(l []causeway.Held) { random.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] }) }); err != nil {
			r.Fatal(err)
		}
	})
}

// TestManyDeeds is TestDeeds with many more of them, evenly chosen.
func TestManyDeeds(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		deeds := make([]deed, 1+random.IntN(300))
		for i := range deeds {
			var b [12]uint8
			for j := range b {
				b[j] = uint8(random.Uint32())
			}
			deeds[i] = deed{b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10]&1 != 0, b[11]&1 != 0}
		}
		if err := doAll(deeds, func(l []causeway.Held) { random.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] }) }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestAssertIsDeterministic asserts things that contradict one another in random orders: what is left is the same.
func TestAssertIsDeterministic(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var list []causeway.Held
		n := rapid.IntRange(2, 6).Draw(r, "n")
		for i := range n {
			_, _, h := smbOwner(fmt.Sprintf("s%d/%d", i, i))
			h.Kind, h.Handle, h.Serial = causeway.HeldOpen, object1("f"), uint64(10+i)
			h.Access, h.Share = causeway.FileReadData, causeway.ShareNone
			list = append(list, h)
		}
		var first []causeway.Held
		for round := range 2 {
			table := New(Limits{})
			for _, h := range rapid.Permutation(list).Draw(r, "order") {
				table.AssertHeld(&h)
			}
			got := table.HeldIn(1, "")
			if len(got) != 1 || got[0].Serial != uint64(9+n) {
				r.Fatalf("%+v", got)
			}
			if round == 0 {
				first = got
			} else if !slices.Equal(first, got) {
				r.Fatalf("%+v and %+v", first, got)
			}
		}
	})
}

// smbModel is the locks of SMB opens as [MS-FSA] lists them: nothing but the list.
type smbModel []Lock

func (m smbModel) conflict(l Lock) bool {
	return slices.ContainsFunc(m, func(h Lock) bool {
		inside := l.Span.Offset < h.Span.Offset+h.Span.Length && h.Span.Offset < l.Span.Offset+l.Span.Length
		switch {
		case !inside, !l.Exclusive && !h.Exclusive:
			return false
		case h.Owner == l.Owner && !l.Exclusive:
			return false
		}
		return true
	})
}

func (m smbModel) forbids(o causeway.Owner, s causeway.Span, write bool) bool {
	return s.Length > 0 && slices.ContainsFunc(m, func(h Lock) bool {
		inside := s.Offset < h.Span.Offset+h.Span.Length && h.Span.Offset < s.Offset+s.Length
		return inside && (h.Exclusive && h.Owner != o || !h.Exclusive && write)
	})
}

func TestSMBLockModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, h := New(Limits{}), object1("f")
		var m smbModel
		for _, d := range rapid.SliceOfN(rapid.Make[deed](), 1, 150).Draw(r, "deeds") {
			o, _, _ := d.open()
			l := Lock{h, o, causeway.Span{Offset: uint64(d.Offset % 8), Length: uint64(d.Length % 8)}, d.Flag}
			switch d.Verb % 4 {
			case 0, 1:
				want := causeway.OK
				if m.conflict(l) {
					want = causeway.ErrLocked
				} else {
					m = append(m, l)
				}
				if _, code := table.Lock(h, o, Request{Span: l.Span, Exclusive: l.Exclusive}); code != want {
					r.Fatalf("%v: %v, want %v among %v", l, code, want, m)
				}
			case 2:
				want := causeway.ErrNoEnt
				for _, mode := range []bool{true, false} {
					l.Exclusive = mode
					if i := slices.Index(m, l); i >= 0 {
						m, want = slices.Delete(m, i, i+1), causeway.OK
						break
					}
				}
				if code := table.Unlock(h, o, l.Span); code != want {
					r.Fatalf("unlock %v: %v, want %v", l, code, want)
				}
			case 3:
				_, code := table.CheckIO(h, o, l.Span, d.Flag, false)
				if want := m.forbids(o, l.Span, d.Flag); (code != causeway.OK) != want {
					r.Fatalf("io %v: %v among %v", l, code, m)
				}
			}
			if err := table.check(); err != nil {
				r.Fatal(err)
			}
		}
	})
}
