package gatewaytest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// op is one operation of the random workload, and what came of it.
type op struct {
	kind  string // write, read; chmod, mode; create, remove, look
	thing string // its register
	value int
	found bool
}

// TestRandomWorkload lets clients of several gateways write and read files, attributes and names, while gateways lose touch
// with the owner for longer than their leases, and checks that what they saw could have happened at one gateway.
func TestRandomWorkload(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			randomWorkload(t, memSite(t, 4, exclusive, 150*time.Millisecond))
		})
	}
}

func randomWorkload(t *testing.T, x *site) {
	for _, m := range x.gateways {
		m.jitter = 300 * time.Microsecond
	}
	root := x.root()
	files, modes := make([]causeway.Handle, 3), make([]causeway.Handle, 3)
	for i := range files {
		files[i] = x.gateways[0].create(fmt.Sprint("file", i))
		if err := x.gateways[0].write(files[i], "0000"); err != nil {
			t.Fatal(err)
		}
		modes[i] = x.gateways[0].create(fmt.Sprint("mode", i)) // another file: nobody leases the attributes of one that is written
		if _, err := x.gateways[0].access.SetAttr(t.Context(), gatewaytest.Root(), modes[i], &causeway.SetAttr{Mask: causeway.SetMode}, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := &workload{x: x, files: files, modes: modes, root: root, start: time.Now()}
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for range 150 {
				w.step(i, r)
			}
		})
	}
	var chaos sync.WaitGroup
	chaos.Go(func() {
		for {
			m := x.gateways[1+rand.IntN(3)]
			m.pause()
			select {
			case <-stop:
				m.resume()
				return
			case <-time.After(time.Duration(rand.IntN(250)) * time.Millisecond):
				m.resume()
			}
		}
	})
	clients.Wait()
	close(stop)
	chaos.Wait()
	w.check(t)
	t.Log(len(w.history), "operations,", x.grants.Load(), "grants,", x.recalls.Load(), "recalls")
}

type workload struct {
	x       *site
	files   []causeway.Handle
	modes   []causeway.Handle
	root    causeway.Handle
	start   time.Time
	mu      sync.Mutex
	next    int
	history []porcupine.Operation
}

func (w *workload) value() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next % 4096
}

func (w *workload) step(client int, r *rand.Rand) {
	m, i := w.x.gateways[r.IntN(len(w.x.gateways))], r.IntN(len(w.files))
	ctx, c, h := context.Background(), gatewaytest.Root(), w.files[i]
	name := fmt.Sprint("name", i)
	o := op{thing: fmt.Sprint("file", i)}
	call := time.Since(w.start)
	var err error
	switch r.IntN(12) {
	case 0, 1:
		o.kind, o.value = "write", w.value()
		err = m.tryWrite(h, fmt.Sprintf("%04d", o.value))
	case 2, 3:
		var s string
		o.kind = "read"
		if s, err = m.read(h); err == nil {
			o.value, _ = strconv.Atoi(s)
		}
	case 4:
		o.kind, o.thing, o.value = "write", fmt.Sprint("mode", i), w.value()&0o777
		_, err = m.access.SetAttr(ctx, c, w.modes[i], &causeway.SetAttr{Mask: causeway.SetMode, Mode: uint32(o.value)}, nil)
	case 5, 9, 10:
		var a causeway.Attr
		o.kind, o.thing = "read", fmt.Sprint("mode", i)
		a, err = m.access.GetAttr(ctx, c, w.modes[i])
		o.value = int(a.Mode)
	case 6:
		o.kind, o.thing = "create", name
		_, _, err = m.access.Create(ctx, c, w.root, name, &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded})
		o.found, err = is(err, causeway.ErrExist)
	case 7:
		o.kind, o.thing = "remove", name
		_, err = m.access.Remove(ctx, c, w.root, name, gateway.RemoveFile)
		o.found, err = is(err, causeway.ErrNoEnt)
	case 8, 11:
		o.kind, o.thing = "look", name
		_, _, err = m.access.Lookup(ctx, c, w.root, name)
		o.found, err = is(err, causeway.ErrNoEnt)
	}
	back := time.Since(w.start)
	if err != nil {
		if o.kind == "read" || o.kind == "look" {
			return
		}
		o.kind, back = "maybe "+o.kind, 1<<60 // it may have been done, or be done any time later
	}
	w.mu.Lock()
	w.history = append(w.history, porcupine.Operation{ClientId: client, Input: o, Output: o, Call: int64(call), Return: int64(back)})
	w.mu.Unlock()
}

// is turns an expected error into an outcome.
func is(err error, code causeway.Code) (bool, error) {
	if causeway.CodeOf(err) == code {
		return true, nil
	}
	return false, err
}

// check: each file, each mode is a register, and so is whether a name exists.
func (w *workload) check(t *testing.T) {
	model := porcupine.Model{
		Partition: func(h []porcupine.Operation) (out [][]porcupine.Operation) {
			by := map[string][]porcupine.Operation{}
			for _, o := range h {
				by[o.Input.(op).thing] = append(by[o.Input.(op).thing], o)
			}
			for _, list := range by {
				out = append(out, list)
			}
			return out
		},
		Init: func() any { return 0 },
		Step: func(state, input, _ any) (bool, any) {
			now, o := state.(int), input.(op)
			switch o.kind {
			case "write", "maybe write":
				return true, o.value
			case "read":
				return now == o.value, now
			case "create":
				return o.found == (now == 1), 1
			case "remove":
				return o.found == (now == 0), 0
			case "look":
				return o.found == (now == 0), now
			case "maybe create":
				return true, 1
			case "maybe remove":
				return true, 0
			}
			return false, now
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
	}
	switch porcupine.CheckOperationsTimeout(model, w.history, 20*time.Second) {
	case porcupine.Illegal:
		t.Error("no order of the operations explains what was seen")
	case porcupine.Unknown:
		t.Log("the checker ran out of time")
	}
}
