package gatewaytest_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"causeway"
	"causeway/backend/faulty"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/transfer"
)

// TestNothingAcknowledgedIsLost: a client that follows the protocol works on storage that forgets at every crash what was not
// synced, and whose syncs fail now and then. After each crash and restart everything that was acknowledged as stable must be
// there, and every unstable write that is not must be noticed by its verifier.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			disk := faulty.NewVolatile(mem.Config{Mode: 0o777})
			w := &writer{t: t, ctx: t.Context(), random: rand.New(rand.NewPCG(seed, 1)), caller: gatewaytest.User(1000, 100), files: map[string]*file{}}
			for crash := range 6 {
				broken := faulty.New(disk, faulty.Config{Seed: seed, Rules: []faulty.Rule{{Op: faulty.OpSync, Probability: 0.1, Code: causeway.ErrIO}}})
				w.start(broken)
				w.check()
				for range 60 {
					w.step()
				}
				if err := disk.Crash(faulty.Keep{Probability: float64(crash%3) / 2, Seed: seed}); err != nil {
					t.Fatal(err)
				}
				w.must(w.engine.Transfer.(*transfer.Engine).Close()) // what it still had open is dead
			}
		})
	}
}

// writer is the client: it knows what must be there.
type writer struct {
	t      *testing.T
	ctx    context.Context
	random *rand.Rand
	caller *gateway.Caller
	engine gatewaytest.Fixture
	root   causeway.Handle
	files  map[string]*file // by name; all in the root
}

// file is what the client knows of a file: its bytes and mode, and the writes that it has to keep until they are stable.
type file struct {
	handle causeway.Handle
	bytes  []byte
	mode   uint32
	kept   []write
}

type write struct {
	off      int
	data     []byte
	verifier causeway.Verifier
}

// start puts new engines on the storage, as a restart does.
func (w *writer) start(store *faulty.Store) {
	w.engine = local(store, false)
	root, err := w.engine.Access.Root(w.ctx, w.caller, w.engine.Volume)
	w.must(err)
	w.root = root.Handle
}

func (w *writer) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// check compares all files with what must be there. Writes that were never acknowledged as stable are sent again first, as the
// changed verifier tells the client to.
func (w *writer) check() {
	names := map[string]bool{}
	_, _, err := w.engine.Access.ReadDir(w.ctx, w.caller, w.root, 0, gateway.WantNames, func(e *causeway.DirEntry) bool {
		if e.Name != "." && e.Name != ".." {
			names[string([]byte(e.Name))] = true
		}
		return true
	})
	w.must(err)
	for name := range w.files {
		if !names[name] {
			w.t.Fatalf("%s is gone", name)
		}
	}
	if len(names) != len(w.files) {
		w.t.Fatalf("names %v, want %v", names, slices.Sorted(maps.Keys(w.files)))
	}
	for name, f := range w.files {
		e, _, err := w.engine.Access.Lookup(w.ctx, w.caller, w.root, name)
		w.must(err)
		if e.Handle != f.handle || e.Attr.Mode != f.mode {
			w.t.Fatalf("%s: handle %v mode %o, want %v %o", name, e.Handle, e.Attr.Mode, f.handle, f.mode)
		}
		w.commit(f)
		got := make([]byte, len(f.bytes)+1)
		r, err := w.engine.Transfer.Read(w.ctx, w.caller, f.handle, 0, got)
		w.must(err)
		if !bytes.Equal(got[:r.N], f.bytes) {
			w.t.Fatalf("%s: %d bytes, want %d; first difference at %d", name, r.N, len(f.bytes), differs(got[:r.N], f.bytes))
		}
	}
}

func differs(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// commit makes the kept writes of a file stable: again and again while syncs fail, sending again what the verifier says may
// be lost.
func (w *writer) commit(f *file) {
	for len(f.kept) > 0 {
		r, err := w.engine.Transfer.Sync(w.ctx, w.caller, f.handle, causeway.Span{Length: causeway.ToEOF})
		if err != nil {
			continue // a failed sync: the next reply has another verifier
		}
		lost := slices.DeleteFunc(f.kept, func(k write) bool { return k.verifier == r.Verifier })
		f.kept = nil
		for _, k := range lost {
			w.write(f, k.off, k.data, causeway.Unstable)
		}
	}
}

func (w *writer) write(f *file, off int, data []byte, how causeway.Stability) {
	for {
		r, err := w.engine.Transfer.Write(w.ctx, w.caller, f.handle, uint64(off), data, how)
		if causeway.CodeOf(err) == causeway.ErrIO {
			continue
		}
		w.must(err)
		if how == causeway.Unstable {
			f.kept = append(f.kept, write{off, data, r.Verifier})
		}
		f.bytes = slices.Concat(f.bytes, make([]byte, max(0, off+len(data)-len(f.bytes))))
		copy(f.bytes[off:], data)
		return
	}
}

// step does one random thing and waits for its answer.
func (w *writer) step() {
	name := fmt.Sprint("file", w.random.IntN(8))
	f := w.files[name]
	if f == nil {
		e, _, err := w.engine.Access.Create(w.ctx, w.caller, w.root, name, &gateway.CreateSpec{
			Type: causeway.TypeRegular, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o600}})
		w.must(err)
		w.files[name] = &file{handle: e.Handle, mode: 0o600}
		return
	}
	switch kind := w.random.IntN(12); kind {
	case 0:
		_, err := w.engine.Access.Remove(w.ctx, w.caller, w.root, name, gateway.RemoveFile)
		w.must(err)
		delete(w.files, name)
	case 1:
		to := fmt.Sprint("file", w.random.IntN(8))
		_, _, err := w.engine.Access.Rename(w.ctx, w.caller, w.root, name, w.root, to)
		w.must(err)
		delete(w.files, name)
		w.files[to] = f
	case 2:
		f.mode = 0o600 | w.random.Uint32N(0o100)
		_, err := w.engine.Access.SetAttr(w.ctx, w.caller, f.handle, &causeway.SetAttr{Mask: causeway.SetMode, Mode: f.mode}, nil)
		w.must(err)
	case 3:
		w.commit(f) // as clients do before they truncate
		f.bytes = slices.Concat(f.bytes, make([]byte, 4096))[:w.random.IntN(len(f.bytes)+4096)]
		_, err := w.engine.Access.SetAttr(w.ctx, w.caller, f.handle, &causeway.SetAttr{Mask: causeway.SetSize, Size: uint64(len(f.bytes))}, nil)
		w.must(err)
	case 4, 5:
		w.commit(f)
	default:
		data := make([]byte, 1+w.random.IntN(6000))
		for i := range data {
			data[i] = byte(w.random.Uint32())
		}
		w.write(f, w.random.IntN(20000), data, causeway.Stability(max(0, kind-9)))
	}
}
