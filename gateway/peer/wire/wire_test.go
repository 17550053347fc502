package wire

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/shadow"
)

// over sends a message through its encoding.
func over[M proto.Message](t interface{ Fatal(...any) }, m M) M {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func same(t *rapid.T, what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n%+v became\n%+v", what, want, got)
	}
}

var (
	someTime = rapid.Custom(func(t *rapid.T) causeway.Time {
		return causeway.Time{Sec: rapid.Int64().Draw(t, "sec"), Nsec: rapid.Uint32Range(0, 999_999_999).Draw(t, "nsec")}
	})
	someObject = rapid.Custom(func(t *rapid.T) (id causeway.ObjectID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 0, len(id)).Draw(t, "id"))
		return id
	})
	someACL = rapid.Custom(func(t *rapid.T) *causeway.ACL {
		n := rapid.IntRange(-1, 5).Draw(t, "entries")
		if n < 0 {
			return nil
		}
		l := &causeway.ACL{Entries: make([]causeway.ACLEntry, n)}
		for i := range l.Entries {
			l.Entries[i] = causeway.ACLEntry{
				Tag:  causeway.ACLTag(rapid.IntRange(1, int(causeway.ACLOther)).Draw(t, "tag")),
				Perm: causeway.Rights(rapid.IntRange(0, 7).Draw(t, "perm")), ID: rapid.Uint32().Draw(t, "id"),
			}
		}
		return l
	})
	someAttr = rapid.Custom(func(t *rapid.T) causeway.Attr {
		if rapid.Bool().Draw(t, "unknown") {
			return causeway.Attr{}
		}
		u, v := rapid.Uint32(), rapid.Uint64()
		return causeway.Attr{
			Type: causeway.FileType(rapid.IntRange(1, int(causeway.TypeFIFO)).Draw(t, "type")), Mode: u.Draw(t, "mode") & causeway.ModeAll,
			Nlink: u.Draw(t, "nlink"), UID: u.Draw(t, "uid"), GID: u.Draw(t, "gid"), Size: v.Draw(t, "size"), Used: v.Draw(t, "used"),
			Major: u.Draw(t, "major"), Minor: u.Draw(t, "minor"), FileID: v.Draw(t, "fileid"), Atime: someTime.Draw(t, "atime"),
			Mtime: someTime.Draw(t, "mtime"), Ctime: someTime.Draw(t, "ctime"), Btime: someTime.Draw(t, "btime"), Change: v.Draw(t, "change"),
			ACL: someACL.Draw(t, "acl"), Extended: rapid.Bool().Draw(t, "extended"),
		}
	})
	someSpan = rapid.Custom(func(t *rapid.T) causeway.Span {
		return causeway.Span{Offset: rapid.Uint64().Draw(t, "off"), Length: rapid.Uint64().Draw(t, "len")}
	})
	someOwner = rapid.Custom(func(t *rapid.T) causeway.Owner {
		text := rapid.SliceOfN(rapid.Byte(), 0, 40)
		return causeway.Owner{Kind: causeway.OwnerKind(rapid.IntRange(0, int(causeway.OwnerLocal)).Draw(t, "kind")),
			Client: string(text.Draw(t, "client")), Opaque: string(text.Draw(t, "opaque"))}
	})
	someExtents = rapid.Custom(func(t *rapid.T) []causeway.Extent {
		var list []causeway.Extent
		for range rapid.IntRange(0, 3).Draw(t, "extents") {
			v := rapid.Uint64()
			list = append(list, causeway.Extent{Device: v.Draw(t, "device"), FileOffset: v.Draw(t, "file"), DeviceOffset: v.Draw(t, "at"),
				Length: v.Draw(t, "length"), State: causeway.ExtentState(rapid.IntRange(0, 3).Draw(t, "state"))})
		}
		return list
	})
)

// TestResultsSurvive: what a reply tells is what was to be told.
func TestResultsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := causeway.VolumeID(rapid.Uint64Min(1).Draw(t, "volume"))
		want := Result{
			Dir: someAttr.Draw(t, "dir"), Target: string(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "target")),
			Change:  causeway.Change{Before: someAttr.Draw(t, "before"), After: someAttr.Draw(t, "after")},
			Change2: causeway.Change{Before: someAttr.Draw(t, "before2"), After: someAttr.Draw(t, "after2")},
			Rights:  causeway.Rights(rapid.IntRange(0, 7).Draw(t, "rights")), EOF: rapid.Bool().Draw(t, "eof"),
			Conflict: gateway.Lock{Handle: causeway.Handle{Volume: v, Object: someObject.Draw(t, "locked")}, Owner: someOwner.Draw(t, "owner"),
				Span: someSpan.Draw(t, "span"), Exclusive: rapid.Bool().Draw(t, "exclusive")},
			Stat: causeway.FSStat{TotalBytes: rapid.Uint64().Draw(t, "total"), BlockSize: rapid.Uint32().Draw(t, "block"), ReadOnly: true},
		}
		want.Entry.Attr = someAttr.Draw(t, "attr")
		if id := someObject.Draw(t, "object"); !id.IsZero() {
			want.Entry.Handle = causeway.Handle{Volume: v, Object: id}
		}
		code := causeway.Code(rapid.IntRange(0, 255).Filter(func(c int) bool { return causeway.Code(c).Known() }).Draw(t, "code"))
		var failure error
		if code != 0 {
			failure = code
		}
		got, err := ResultOf(over(t, ReplyOf(&want, failure)), v)
		same(t, "result", got, want)
		same(t, "error", err, failure)
	})
}

// TestGrantsSurvive: a grant and what is said about it.
func TestGrantsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := causeway.VolumeID(rapid.Uint64Min(1).Draw(t, "volume"))
		h := causeway.Handle{Volume: v, Object: someObject.Draw(t, "object")}
		want := causeway.Grant{
			Handle: h, Locator: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "locator"), Mode: causeway.IOMode(rapid.IntRange(0, 2).Draw(t, "mode")),
			Span: someSpan.Draw(t, "span"), Extents: someExtents.Draw(t, "extents"), Leases: causeway.Leases(rapid.IntRange(0, 3).Draw(t, "leases")),
			Attr: someAttr.Draw(t, "attr"), Deny: []causeway.Span{someSpan.Draw(t, "deny")}, Guarded: rapid.Bool().Draw(t, "guarded"),
			Lease: time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "lease")), Epoch: causeway.Epoch{Incarnation: 1, Revision: rapid.Uint64().Draw(t, "epoch")},
			Seq: rapid.Uint64().Draw(t, "seq"),
		}
		got, err := GrantReply(over(t, &peerpb.Reply{Grant: grantOf(&want)}), v)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "grant", got.Grant, want)
		held := []gateway.Held{{Handle: h, Mode: want.Mode, Span: want.Span, Leases: want.Leases, Seq: want.Seq}}
		back, err := HeldOf(over(t, HeldReply(held, nil)), v)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "held", back, held)
		recall := gateway.Recall{Handle: h, Epoch: want.Epoch, Seq: want.Seq, Mode: want.Mode, Leases: want.Leases, Gone: true}
		told, err := RecallOf(over(t, Recall(&recall)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "recall", told, recall)
		commit := gateway.Commit{Written: true, Size: want.Seq, Mtime: someTime.Draw(t, "mtime"), Ctime: someTime.Draw(t, "ctime"), Extents: want.Extents}
		done, err := CommitOf(over(t, CommitReply(&commit, nil)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "commit", done, commit)
	})
}

// TestErrors: codes survive, causes are cut, and what is not known stays so.
func TestErrors(t *testing.T) {
	long := &causeway.Error{Op: "x", Code: causeway.ErrIO, Err: errors.New(strings.Repeat("\xff", 1000))}
	if err := Error(over(t, Failed(long))); causeway.CodeOf(err) != causeway.ErrIO || len(err.Error()) > 1000 {
		t.Error(err)
	}
	if err := Error(over(t, Failed(gateway.ErrUnknown))); !errors.Is(err, gateway.ErrUnknown) || causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error(err)
	}
	if err := Error(&peerpb.Reply{Code: 250}); causeway.CodeOf(err) != causeway.ErrServerFault {
		t.Error(err)
	}
	if err := Error(Failed(context.Canceled)); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error(err)
	}
}

// TestBatches: a copy that is too large for a message comes in parts.
func TestBatches(t *testing.T) {
	want := shadow.Batch{Volume: 7, Version: shadow.Version{Epoch: causeway.Epoch{Incarnation: 1, Revision: 2}, Term: 3}, Whole: true, Seq: 1}
	for i := range 100 {
		want.Records = append(want.Records, shadow.Record{Kind: shadow.KindReply, Name: string(rune('a' + i)), Data: make([]byte, 60<<10)})
	}
	var got shadow.Batch
	parts := 0
	err := Parts(&want, func(m *peerpb.Batch) error {
		parts++
		b, err := BatchOf(over(t, m))
		b.Records = append(got.Records, b.Records...)
		got = b
		return err
	})
	if err != nil || parts < 5 || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %d parts, %d of %d records", err, parts, len(got.Records), len(want.Records))
	}
	if _, err := BatchOf(&peerpb.Batch{Records: []*peerpb.Record{{Kind: 1, Data: make([]byte, maxRecord+1)}}}); err == nil {
		t.Error("a record without bound")
	}
}

// TestBounds: what nobody of ours sends changes nothing.
func TestBounds(t *testing.T) {
	e, root := engine()
	h := root.Object[:]
	for name, r := range map[string]*peerpb.Request{
		"object":  {Op: peerpb.Op_GETATTR, Object: make([]byte, 33)},
		"name":    {Op: peerpb.Op_LOOKUP, Object: h, Name: make([]byte, maxName+1)},
		"groups":  {Op: peerpb.Op_GETATTR, Object: h, Caller: &peerpb.Caller{Groups: make([]uint32, maxGroups+1)}},
		"address": {Op: peerpb.Op_GETATTR, Object: h, Caller: &peerpb.Caller{Client: make([]byte, 5)}},
		"owner":   {Op: peerpb.Op_LOCK, Object: h, Caller: &peerpb.Caller{Owner: &peerpb.Owner{Kind: 99}}},
		"op":      {Op: peerpb.Op_CREATE, Object: h, Caller: &peerpb.Caller{Op: make([]byte, 17)}},
		"create":  {Op: peerpb.Op_CREATE, Object: h, Name: []byte("x")},
		"how":     {Op: peerpb.Op_CREATE, Object: h, Name: []byte("x"), Create: &peerpb.CreateSpec{Type: 1, How: 9}},
		"type":    {Op: peerpb.Op_CREATE, Object: h, Name: []byte("x"), Create: &peerpb.CreateSpec{Type: 257}},
		"target":  {Op: peerpb.Op_CREATE, Object: h, Name: []byte("x"), Create: &peerpb.CreateSpec{Type: 5, Target: make([]byte, maxTarget+1)}},
		"mask":    {Op: peerpb.Op_SETATTR, Object: h, Set: &peerpb.SetAttr{Mask: 1 << 15}},
		"acl":     {Op: peerpb.Op_SETATTR, Object: h, Set: &peerpb.SetAttr{Acl: &peerpb.ACL{Entries: make([]*peerpb.ACLEntry, maxACL+1)}}},
		"guard":   {Op: peerpb.Op_SETATTR, Object: h, Set: &peerpb.SetAttr{}, Guard: &peerpb.Time{Nsec: 1e9}},
		"remove":  {Op: peerpb.Op_REMOVE, Object: h, Name: []byte("x"), Arg: 3},
		"rename":  {Op: peerpb.Op_RENAME, Object: h, Name: []byte("x"), Name2: make([]byte, maxName+1)},
		"persist": {Op: peerpb.Op_PERSIST, Objects: make([][]byte, maxObjects+1)},
		"want":    {Op: peerpb.Op_READDIR, Object: h, Arg: 2},
		"grant":   {Op: peerpb.Op_GRANT, Object: h},
		"mode":    {Op: peerpb.Op_GRANT, Object: h, Grant: &peerpb.GrantSpec{Mode: 3}},
		"list":    {Op: peerpb.Op_GRANT, Object: h, Grant: &peerpb.GrantSpec{List: gateway.MaxGrantList + 1}},
		"return":  {Op: peerpb.Op_RETURN, Object: h},
		"two":     {Op: peerpb.Op_COMMIT, Object: h, Held: make([]*peerpb.Held, 2)},
		"held":    {Op: peerpb.Op_RENEW, Object: h, Held: make([]*peerpb.Held, MaxHeld+1)},
		"extents": {Op: peerpb.Op_COMMIT, Held: make([]*peerpb.Held, 1), Commit: &peerpb.Commit{Extents: make([]*peerpb.Extent, maxExtents+1)}},
	} {
		r.Volume = 42
		if code := causeway.Code(Serve(t.Context(), e, nil, "g2", r).Code); code != causeway.ErrInval {
			t.Errorf("%s: %v", name, code)
		}
	}
	if code := causeway.Code(Serve(t.Context(), e, nil, "g2", &peerpb.Request{Op: 99, Volume: 42}).Code); code != causeway.ErrNotSupp {
		t.Errorf("an operation of a later version: %v", code)
	}
}

func engine() (*access.Engine, causeway.Handle) {
	store := mem.New(mem.Config{Generation: 1, Mode: 0o777, MaxBytes: 1 << 20})
	e := access.New(access.Config{})
	e.Attach(&causeway.Volume{ID: 42, Name: "v", Async: true}, store)
	return e, causeway.Handle{Volume: 42, Object: store.Root()}
}

// FuzzRequest: any message is executed or refused, and its reply can be understood.
func FuzzRequest(f *testing.F) {
	e, root := engine()
	c := &gateway.Caller{Cred: causeway.Cred{UID: 1000, Groups: []uint32{1}}, Owner: causeway.Owner{Kind: causeway.OwnerNLM, Client: "c"}}
	file := Create(c, root, "f", &gateway.CreateSpec{Type: causeway.TypeRegular})
	WithGrant(file)
	for _, r := range []*peerpb.Request{
		file,
		About(peerpb.Op_ROOT, c, causeway.Handle{Volume: 42}), Named(peerpb.Op_LOOKUP, c, root, "x"), ReadDir(c, root, 0, 1, 10),
		Create(c, root, "x", &gateway.CreateSpec{Type: causeway.TypeSymlink, Target: "t"}), Two(peerpb.Op_RENAME, c, root, "x", root, "y"),
		SetAttr(c, root, &causeway.SetAttr{Mask: causeway.SetMode}, &causeway.Time{}), Lock(peerpb.Op_LOCK, c, root, gateway.LockSpec{}),
		ReleaseClient(causeway.OwnerNLM, "c"), Persist(42, []causeway.ObjectID{root.Object}), Grant(&gateway.GrantSpec{Handle: root, Mode: 2}),
		Held(peerpb.Op_RETURN, 42, []gateway.Held{{Handle: root}}, &gateway.Commit{Written: true}), Recall(&gateway.Recall{Handle: root}),
		Event(&gateway.Event{Kind: gateway.LockGranted, Lock: gateway.Lock{Handle: root}}),
	} {
		b, _ := proto.Marshal(r)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &peerpb.Request{}
		if proto.Unmarshal(b, r) != nil {
			return
		}
		reply := Serve(context.Background(), e, nil, "g2", r)
		if len(reply.Entries) > MaxEntries {
			t.Fatalf("%d entries", len(reply.Entries))
		}
		if _, err := ResultOf(over(t, reply), 42); err != nil && reply.Code == 0 {
			t.Fatalf("%v of %v", err, reply)
		}
		RecallOf(r)
		EventOf(r)
		AboutOf(r)
		BatchOf(r.Batch)
	})
}

// FuzzReply: any message is a result or an error.
func FuzzReply(f *testing.F) {
	b, _ := proto.Marshal(ReplyOf(&Result{Target: "t", Entry: gateway.Entry{Attr: causeway.Attr{Type: 1}}}, causeway.ErrStale))
	f.Add(b)
	b, _ = proto.Marshal(&peerpb.Reply{Grant: grantOf(&causeway.Grant{Extents: make([]causeway.Extent, 1)}), Entries: []*peerpb.DirEntry{{Name: []byte("x")}}})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &peerpb.Reply{}
		if proto.Unmarshal(b, r) != nil {
			return
		}
		result, err := ResultOf(r, 42)
		if err == nil && (result.Rights > 7 || len(result.Target) > maxTarget) {
			t.Fatalf("%+v", result)
		}
		GrantReply(r, 42)
		HeldOf(r, 42)
		CommitOf(r)
		Locks(r)
		n, _, _ := Entries(r, func(e *causeway.DirEntry) bool {
			if len(e.Name) > causeway.MaxName {
				t.Fatal(e.Name)
			}
			return true
		})
		if n > MaxEntries {
			t.Fatal(n)
		}
	})
}
