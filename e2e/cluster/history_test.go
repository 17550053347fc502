//go:build linux

package cluster

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// act is what is done to a register (the content of a file), a directory of two names, or a lock.
type act uint8

const (
	read act = iota
	write
	look
	create
	remove
	rename
	lock
	unlock
)

// asked is an operation of a history. A change whose first answer did not arrive was sent again, and may have been made more than once: each
// ghost stands for another time, if there was one, which lies between its call and its return as well.
type asked struct {
	key   string
	act   act
	value uint64 // written; who locks; the name, 0 or 1: of rename, the old one
	ghost bool

	// For who looks for the cause: who was asked, by which calls.
	at          string
	first, last uint32 // transaction ids
	sent        int
}

// maxGhosts bounds how often a change is taken for made again: what is sent more often was not read before.
const maxGhosts = 3

func (a asked) String() string {
	what := [...]string{"read", "write", "look for", "create", "remove", "rename", "lock", "unlock"}[a.act]
	if a.ghost {
		what = "perhaps again: " + what
	}
	return fmt.Sprintf("%s: %s %#x (at %s, xid %#x–%#x, sent %d times)", a.key, what, a.value, a.at, a.first, a.last, a.sent)
}

// got is its answer: the value that was read, or whether it was done.
type got struct {
	value uint64
	done  bool
}

// apply is what an act does in a state: a register's value, a set of names, or a lock's holder, 0: nobody.
func (a *asked) apply(state uint64) (next uint64, out got) {
	name := uint64(1) << a.value
	switch a.act {
	case read:
		return state, got{value: state}
	case write:
		return a.value, got{done: true}
	case look:
		return state, got{done: state&name != 0}
	case create:
		return state | name, got{done: state&name == 0}
	case remove:
		return state &^ name, got{done: state&name != 0}
	case rename:
		if state&name == 0 {
			return state, got{}
		}
		return 3 &^ name, got{done: true} // the other name is replaced
	case lock:
		if state != 0 && state != a.value {
			return state, got{}
		}
		return a.value, got{done: true}
	}
	if state == a.value {
		return 0, got{done: true}
	}
	return state, got{done: true} // giving back what one does not have is well
}

var model = porcupine.NondeterministicModel{
	Init: func() []any { return []any{uint64(0)} },
	Step: func(state, input, output any) []any {
		in := input.(asked)
		next, out := in.apply(state.(uint64))
		switch {
		case in.ghost && next != state.(uint64):
			return []any{state, next}
		case in.ghost:
			return []any{state}
		case out != output.(got):
			return nil
		}
		return []any{next}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v → %+v", input, output) },
}

// player does things through one gateway and writes them down.
type player struct {
	id      uint64
	m       *mount
	part    int      // of the test: files and names are its own
	regs    [][]byte // handles of the registers
	random  *rand.Rand
	history []porcupine.Operation
	next    uint64
	crashed func(from, to time.Duration) bool
}

var clock = time.Now()

// record writes an operation down; do returns its answer.
func (p *player) record(in asked, do func() (got, error)) error {
	begun := time.Since(clock)
	p.m.repeated, p.m.sent, in.first, in.at = false, 0, p.m.xid+1, p.m.at
	out, err := do()
	in.last, in.sent = p.m.xid, p.m.sent
	if err != nil {
		return fmt.Errorf("%+v: %w", in, err)
	}
	ended := time.Since(clock)
	op := porcupine.Operation{ClientId: int(p.id), Input: in, Output: out, Call: int64(begun), Return: int64(ended)}
	p.history = append(p.history, op)
	if p.m.repeated || p.crashed(begun, ended) {
		p.history = append(p.history, ghosts(op)...)
	}
	return nil
}

// ghosts are what a change may have done besides. What an owner had done and told nobody when it was killed is done again by the next one,
// also when a gateway asks for it again.
func ghosts(op porcupine.Operation) (out []porcupine.Operation) {
	in := op.Input.(asked)
	if in.act == read || in.act == look {
		return nil
	}
	in.ghost = true
	op.Input = in
	for range min(max(1, in.sent-1), maxGhosts) {
		out = append(out, op)
	}
	if in.act == lock && !op.Output.(got).done { // who died with a lock that nobody had been told of has taken it along
		in.act = unlock
		op.Input = in
		out = append(out, op)
	}
	return out
}

// doubt adds ghosts to the changes that were under way while a gateway was put out of the cluster: it may have been an owner that had done
// them and told nobody, as if it had been killed.
func (p *player) doubt(dropped []time.Time) {
	var out []porcupine.Operation
	for i, op := range p.history {
		out = append(out, op)
		if op.Input.(asked).ghost || i+1 < len(p.history) && p.history[i+1].Call == op.Call { // it has some
			continue
		}
		from, to := clock.Add(time.Duration(op.Call)), clock.Add(time.Duration(op.Return))
		if slices.ContainsFunc(dropped, func(at time.Time) bool { return !to.Before(at.Add(-membership)) && !from.After(at) }) {
			out = append(out, ghosts(op)...)
		}
	}
	p.history = out
}

// membership is more than a gateway is missed for before it may come back as a new one.
const membership = 3 * time.Second

// outcome turns an answer into one of done, not done for the reason that is expected, or an error.
func outcome(err error, refused nfs3.Status) (got, error) {
	switch {
	case err == nil:
		return got{done: true}, nil
	case errors.Is(err, refused):
		return got{}, nil
	}
	return got{}, err
}

// step does one thing.
func (p *player) step(ctx context.Context) error {
	m := p.m
	n := p.random.IntN(len(p.regs))
	reg, dir, locked := fmt.Sprint(m.volume, " register ", n), fmt.Sprint(m.volume, " names ", n), fmt.Sprint(m.volume, " lock ", n)
	name := uint64(p.random.IntN(2))
	names := [2]string{fmt.Sprint("n", p.part, "-", n, "-0"), fmt.Sprint("n", p.part, "-", n, "-1")}
	switch a := act(p.random.IntN(int(unlock) + 1)); a {
	case read:
		return p.record(asked{key: reg, act: read}, func() (got, error) {
			data, err := m.read(ctx, p.regs[n], 0, 16)
			if err != nil {
				return got{}, err
			}
			v := binary.LittleEndian.Uint64(data)
			if v != binary.LittleEndian.Uint64(data[8:]) {
				return got{}, fmt.Errorf("half of a write is read: %x", data)
			}
			return got{value: v}, nil
		})
	case write:
		p.next++
		v := p.id<<32 | p.next
		return p.record(asked{key: reg, act: write, value: v}, func() (got, error) {
			data := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, v), v)
			_, err := m.write(ctx, p.regs[n], 0, data, nfs3.FileSync)
			return got{done: true}, err
		})
	case look:
		return p.record(asked{key: dir, act: look, value: name}, func() (got, error) {
			_, err := m.lookup(ctx, names[name])
			return outcome(err, nfs3.NoEnt)
		})
	case create:
		return p.record(asked{key: dir, act: create, value: name}, func() (got, error) {
			_, err := m.create(ctx, names[name])
			return outcome(err, 17)
		})
	case remove:
		return p.record(asked{key: dir, act: remove, value: name}, func() (got, error) { return outcome(m.remove(ctx, names[name]), nfs3.NoEnt) })
	case rename:
		return p.record(asked{key: dir, act: rename, value: name}, func() (got, error) { return outcome(m.rename(ctx, names[name], names[1-name]), nfs3.NoEnt) })
	default:
		return p.record(asked{key: locked, act: a, value: p.id}, func() (got, error) {
			done, err := m.lock(ctx, p.regs[n], uint32(p.id), a == lock)
			return got{done: done}, err
		})
	}
}

// Procedures and results of NLM version 4.
const (
	progNLM    = 100021
	nlmUnlock  = 4
	nlmNMLock  = 22
	nlmGranted = 0
	nlmDenied  = 1
)

// lock takes or gives back a lock of the first bytes of a file, without waiting for it.
func (m *mount) lock(ctx context.Context, file []byte, owner uint32, take bool) (bool, error) {
	proc := uint32(nlmUnlock)
	if take {
		proc = nlmNMLock
	}
	for {
		r, err := m.call(ctx, progNLM, proc, func(a *nfs3.Record) {
			a.Opaque([]byte{1})
			if take {
				a.Uint32(0) // do not wait
				a.Uint32(1) // exclusive
			}
			a.Opaque([]byte("player"))
			a.Opaque(file)
			a.Opaque([]byte{2})
			a.Uint32(owner)
			a.Uint64(0)
			a.Uint64(16)
			if take {
				a.Uint32(0)
				a.Uint32(1)
			}
		})
		if err != nil {
			return false, err
		}
		r.Opaque()
		switch status := r.Uint32(); {
		case r.Err != nil:
			return false, r.Err
		case status > nlmDenied:
			m.repeated = true
			time.Sleep(20 * time.Millisecond) // not now: NLM has one word for a grace period and for a volume that moves
		default:
			return status == nlmGranted, nil
		}
	}
}

// histories are the faults under which histories are made, the first ones of which are for the short version.
var histories = []fault{
	{"a stopped process", func(_ *stage, victim, _ *harness.Member) {
		victim.Signal(syscall.SIGSTOP)
		time.Sleep(longer)
		victim.Signal(syscall.SIGCONT)
	}},
	faults[0], // a crash
	{"a gateway without the others", func(s *stage, victim, _ *harness.Member) {
		cut(s, victim, true)
		time.Sleep(longer)
		cut(s, victim, false)
	}},
	{"the volumes move", func(s *stage, victim, _ *harness.Member) {
		for _, v := range s.volumes {
			s.move(v, victim)
		}
	}},
	faults[3], faults[5], faults[6], faults[8], // a short stop, two without each other, one way, two crashes
}

// TestHistories has clients of three gateways change the same few files, names and locks of a plain and of an exclusive volume while things
// happen to gateways: there is an order of all operations in which each answer is right, and that does not contradict time. The long
// version takes an hour, or what CAUSEWAY_SOAK says, as in 15m.
func TestHistories(t *testing.T) {
	config := harness.ClusterConfig{}
	if os.Getenv("CAUSEWAY_E2E_LOGS") != "" { // which change was made where, and what became of it
		config.Flags = []string{"--log-level", "debug"}
	}
	s := setStage(t, 1, config)
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	s.volume("x0", "--exclusive")
	var players []*player
	for v, volume := range s.volumes {
		for i, at := range s.Members {
			id := uint64(v*len(s.Members) + i + 1)
			p := &player{id: id, m: newMount(s.network.Host(), at.Service.String(), volume, uint32(id)<<24), random: rand.New(rand.NewPCG(11, id)), crashed: s.crashed}
			defer p.m.close()
			if err := p.m.begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			players = append(players, p)
		}
	}
	list, until := histories[:4], time.Now()
	if harness.Long() {
		list, until = histories, until.Add(soak(t))
	}
	for part := 0; part == 0 || time.Now().Before(until) && !t.Failed(); part++ {
		s.history(part, players, list)
	}
	for _, m := range s.Members {
		if n := len(m.Said("what clients held is not known to any gateway")); n > 0 {
			t.Errorf("%s has had %d grace periods", m.Name, n)
		}
	}
}

// soak is how long the long version takes.
func soak(t *testing.T) time.Duration {
	text := os.Getenv("CAUSEWAY_SOAK")
	if text == "" {
		return time.Hour
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("CAUSEWAY_SOAK: ", err)
	}
	return d
}

// history lets each of the faults happen once while players use files, names and locks that nobody has used before, and judges what
// they saw.
func (s *stage) history(part int, players []*player, list []fault) {
	t := s.t
	t.Helper()
	const keys = 2
	files := make(map[string][][]byte)
	for _, p := range players {
		p.part, p.history = part, nil
		for i := len(files[p.m.volume]); i < keys; i++ {
			file, err := p.m.create(t.Context(), fmt.Sprint("register-", part, "-", i))
			if err == nil {
				_, err = p.m.write(t.Context(), file, 0, make([]byte, 16), nfs3.FileSync)
			}
			if err != nil {
				t.Fatal(err)
			}
			files[p.m.volume] = append(files[p.m.volume], file)
		}
		p.regs = files[p.m.volume]
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var tasks sync.WaitGroup
	failed := make(chan error, len(players))
	for _, p := range players {
		tasks.Go(func() {
			for ctx.Err() == nil {
				if err := p.step(t.Context()); err != nil {
					failed <- fmt.Errorf("at %s: %w", p.m.at, err)
					return
				}
				time.Sleep(time.Duration(p.random.IntN(8)) * time.Millisecond)
			}
		})
	}
	for i, f := range list {
		victim := s.owner(s.volumes[(part+i)%2])
		if victim == nil {
			victim = s.Members[i%3]
		}
		other, _ := s.beside(victim)
		begun := time.Now()
		f.do(s, victim, other)
		s.AwaitRest(len(s.volumes))
		time.Sleep(300 * time.Millisecond)
		t.Logf("part %d, %s (%s): %v", part, f.name, victim.Name, time.Since(begun).Round(time.Millisecond))
	}
	stop()
	tasks.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	var dropped []time.Time
	for _, m := range s.Members {
		if joined := m.Said("joined the cluster"); len(joined) > 0 {
			dropped = append(dropped, joined[1:]...)
		}
	}
	for _, p := range players {
		p.doubt(dropped)
	}
	judge(t, players)
}

// judge looks for the order.
func judge(t *testing.T, players []*player) {
	t.Helper()
	keys := make(map[string][]porcupine.Operation)
	ghosts := 0
	for _, p := range players {
		for _, op := range p.history {
			in := op.Input.(asked)
			keys[in.key] = append(keys[in.key], op)
			if in.ghost {
				ghosts++
			}
		}
	}
	for key, history := range keys {
		begun := time.Now()
		result, info := porcupine.CheckOperationsVerbose(model.ToModel(), history, time.Minute)
		t.Logf("%s: %d operations, %s in %v", key, len(history), result, time.Since(begun).Round(time.Millisecond))
		if result == porcupine.Ok {
			continue
		}
		t.Errorf("%s: there is no order of its operations: %s; where it ends, by a clock that began at %s:\n%s", key, result, clock.UTC().Format("15:04:05.000"), end(history, info))
	}
	t.Logf("%d changes were sent more than once", ghosts)
}

// end describes a history around the first operation that the longest order that there is does not contain.
func end(history []porcupine.Operation, info porcupine.LinearizationInfo) string {
	in := make(map[string]bool)
	describe := func(op porcupine.Operation) string {
		ms := func(at int64) string { return time.Duration(at).Round(10 * time.Microsecond).String() }
		return fmt.Sprintf("client %d, %s to %s: %s", op.ClientId, ms(op.Call), ms(op.Return), model.DescribeOperation(op.Input, op.Output))
	}
	var longest []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations() {
		for _, order := range part {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	for _, op := range longest {
		in[describe(op)] = true
	}
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	first := slices.IndexFunc(history, func(op porcupine.Operation) bool { return !in[describe(op)] })
	var text strings.Builder
	// What may still run then is part of it, however long ago it began.
	at := history[first].Call
	for i, op := range history[:min(len(history), first+8)] {
		switch {
		case i == first:
			text.WriteString("→ ")
		case i >= first-16 || op.Return >= at-int64(100*time.Millisecond):
			text.WriteString("  ")
		default:
			continue
		}
		fmt.Fprintln(&text, describe(op))
	}
	return text.String()
}
