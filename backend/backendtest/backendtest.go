// Package backendtest is the conformance suite of backend.Store: what the interfaces promise, sentence by sentence. Every
// implementation runs it. What an implementation cannot do it says in Caps, and the suite then wants ErrNotSupp for it.
//
// Tests of a single implementation do not belong here.
package backendtest

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
)

// Caps is what a Store can do.
type Caps struct {
	HardLinks    bool          // Link
	Symlinks     bool          // symbolic links
	Special      bool          // FIFOs and sockets
	Devices      bool          // block and character devices (the storage, and the test's privileges)
	Modes        bool          // all mode bits are kept, exactly
	Owners       bool          // any owner can be set (the storage, and the test's privileges)
	ACLs         bool          // access and default ACLs
	Times        bool          // atime and mtime can be set
	StableTimes  bool          // times that were set survive a restart
	ChangeTimes  bool          // ctime and the change attribute tell every change
	Granularity  time.Duration // of times; 1 ns if zero
	DirLinks     bool          // a directory's link count is 2 plus its subdirectories
	Holes        bool          // what was never written takes no storage
	SetIDClear   bool          // writing clears set-user-id
	UnlinkedOpen bool          // an open object lives on when its last name is gone
	Replace      bool          // a rename replaces what stands at its target
	StableIDs    bool          // after Reopen, objects that were renamed before keep their ids
}

// Full is a Store that can do everything.
var Full = Caps{HardLinks: true, Symlinks: true, Special: true, Devices: true, Modes: true, Owners: true, ACLs: true, Times: true, StableTimes: true,
	ChangeTimes: true, DirLinks: true, Holes: true, SetIDClear: true, UnlinkedOpen: true, Replace: true, StableIDs: true}

// Options says what is tested.
type Options struct {
	New    func(t testing.TB) backend.Store                  // an empty volume; the suite closes it
	Reopen func(t testing.TB, s backend.Store) backend.Store // closes s, which the suite has synced, and opens the volume again; nil if nothing survives
	Caps   Caps
	UID    uint32                         // owner of what the suite creates; that of the process if UID and GID are zero
	GID    uint32                         //
	Now    func() time.Time               // the Store's clock; time.Now if nil
	Tick   func()                         // lets the Store's clock move on; if nil the suite polls until it has
	Skip   func(name string) (why string) // names of tests to skip, with the reason; may be nil
}

// test is one test of the suite.
type test struct {
	name string
	run  func(v *volume)
}

// Run runs the suite.
func Run(t *testing.T, o Options) {
	if o.UID == 0 && o.GID == 0 {
		o.UID, o.GID = uint32(os.Getuid()), uint32(os.Getgid())
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Caps.Granularity == 0 {
		o.Caps.Granularity = 1
	}
	for _, group := range [][]test{lookupTests, createTests, removeTests, renameTests, linkTests, identityTests, listTests,
		attributeTests, aclTests, contentTests, objectTests, stableTests, concurrencyTests, modelTests, xattrTests} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				if o.Skip != nil {
					if why := o.Skip(c.name); why != "" {
						t.Skip(why)
					}
				}
				c.run(open(t, &o))
			})
		}
	}
}

// volume is the Store under test with what most tests need.
type volume struct {
	testing.TB
	o    *Options
	caps Caps
	ctx  context.Context
	s    backend.Store
	root causeway.ObjectID
}

func open(t testing.TB, o *Options) *volume {
	s := o.New(t)
	v := &volume{TB: t, o: o, caps: o.Caps, ctx: context.Background(), s: s, root: s.Root()}
	t.Cleanup(func() {
		if err := v.s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return v
}

// need skips a test of something that the Store cannot do.
func (v *volume) need(can bool) {
	v.Helper()
	if !can {
		v.Skip("not a power of this store")
	}
}

// ok fails the test at an error.
func (v *volume) ok(err error) {
	v.Helper()
	if err != nil {
		v.Fatalf("unexpected error: %v", err)
	}
}

// code wants an error with one of the codes.
func (v *volume) code(err error, codes ...causeway.Code) {
	v.Helper()
	if got := causeway.CodeOf(err); !slices.Contains(codes, got) {
		v.Fatalf("got error %q, want %v", got, codes)
	}
}

// check fails the test with a message if what is claimed is not true.
func (v *volume) check(claim bool, format string, args ...any) {
	v.Helper()
	if !claim {
		v.Fatalf(format, args...)
	}
}

// spec describes an object of the suite's owner.
func (v *volume) spec(typ causeway.FileType, mode uint32) *backend.CreateSpec {
	s := &backend.CreateSpec{Type: typ, Mode: mode, UID: v.o.UID, GID: v.o.GID}
	if typ == causeway.TypeSymlink {
		s.Target = "some/where"
	}
	return s
}

func (v *volume) create(dir causeway.ObjectID, name string, typ causeway.FileType, mode uint32) causeway.ObjectID {
	v.Helper()
	id, _, err := v.s.Create(v.ctx, dir, name, v.spec(typ, mode))
	if err != nil {
		v.Fatalf("create %q: %v", name, err)
	}
	return id
}

func (v *volume) file(dir causeway.ObjectID, name string) causeway.ObjectID {
	v.Helper()
	return v.create(dir, name, causeway.TypeRegular, 0o644)
}

func (v *volume) mkdir(dir causeway.ObjectID, name string) causeway.ObjectID {
	v.Helper()
	return v.create(dir, name, causeway.TypeDirectory, 0o755)
}

func (v *volume) stat(id causeway.ObjectID) causeway.Attr {
	v.Helper()
	a, err := v.s.Stat(v.ctx, id)
	if err != nil {
		v.Fatalf("stat %v: %v", id, err)
	}
	return a
}

func (v *volume) set(id causeway.ObjectID, set causeway.SetAttr) {
	v.Helper()
	if err := v.s.SetStat(v.ctx, id, &set); err != nil {
		v.Fatalf("setstat: %v", err)
	}
}

// finds wants name in dir to be the object.
func (v *volume) finds(dir causeway.ObjectID, name string, want causeway.ObjectID) causeway.Attr {
	v.Helper()
	id, a, err := v.s.Lookup(v.ctx, dir, name)
	if err != nil || id != want {
		v.Fatalf("lookup %q: got %v, %v; want %v", name, id, err, want)
	}
	return a
}

// misses wants name in dir not to exist.
func (v *volume) misses(dir causeway.ObjectID, name string) {
	v.Helper()
	_, _, err := v.s.Lookup(v.ctx, dir, name)
	v.code(err, causeway.ErrNoEnt)
}

// gone wants an object's id to be stale in every method.
func (v *volume) gone(id causeway.ObjectID) {
	v.Helper()
	_, err := v.s.Stat(v.ctx, id)
	v.code(err, causeway.ErrStale)
	v.code(v.s.SetStat(v.ctx, id, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o600}), causeway.ErrStale)
}

// write opens a file, writes and closes it.
func (v *volume) write(id causeway.ObjectID, off uint64, data string) {
	v.Helper()
	o := v.open(id, causeway.IOReadWrite)
	n, err := o.WriteAt(v.ctx, []byte(data), off)
	v.ok(err)
	v.check(n == len(data), "wrote %d of %d bytes", n, len(data))
	v.ok(o.Close())
}

// read opens a file and reads up to n bytes of it.
func (v *volume) read(id causeway.ObjectID, off uint64, n int) string {
	v.Helper()
	o := v.open(id, causeway.IORead)
	p := make([]byte, n)
	n, err := o.ReadAt(v.ctx, p, off)
	v.ok(err)
	v.ok(o.Close())
	return string(p[:n])
}

func (v *volume) open(id causeway.ObjectID, mode causeway.IOMode) backend.Object {
	v.Helper()
	_, loc, err := v.s.Extents(v.ctx, id, mode, causeway.Span{Length: causeway.ToEOF})
	v.ok(err)
	o, err := v.s.Open(v.ctx, id, mode, loc)
	v.ok(err)
	return o
}

// tick returns when a change has another ctime than any before had. It changes the root: what is watched is elsewhere.
func (v *volume) tick() {
	v.Helper()
	if v.o.Tick != nil {
		v.o.Tick()
		return
	}
	v.set(v.root, causeway.SetAttr{Mask: causeway.SetMtimeNow})
	before := v.stat(v.root).Ctime
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		v.set(v.root, causeway.SetAttr{Mask: causeway.SetMtimeNow})
		if v.stat(v.root).Ctime != before {
			return
		}
	}
	v.Fatal("the clock of the store stands still")
}

// near reports whether a time that the store took from its clock lies between two times of that clock, with some room for
// clocks that move in steps.
func near(t causeway.Time, from, to time.Time) bool {
	const room = 2 * time.Second
	return !t.Std().Before(from.Add(-room)) && !t.Std().After(to.Add(room))
}

// reopen syncs what is given and opens the volume again.
func (v *volume) reopen(ids ...causeway.ObjectID) {
	v.Helper()
	if v.o.Reopen == nil {
		v.Skip("nothing survives in this store")
	}
	v.ok(v.s.Persist(v.ctx, append(ids, v.root)...))
	v.s = v.o.Reopen(v.TB, v.s)
	v.check(v.s.Root() == v.root, "the root has another id after a restart")
}
