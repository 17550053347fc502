package ownership

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/record"
)

const (
	ttl    = 2 * time.Second
	margin = 300 * time.Millisecond
)

// sim is a cluster without machines: the store, the nodes, and a queue of what happens when, all from one seed.
type sim struct {
	t      *testing.T
	seed   uint64
	rng    *rand.Rand
	now    time.Duration
	queue  queue
	seq    int
	store  *simStore
	nodes  []*simNode
	down   time.Duration     // until when the store answers nobody
	calm   bool              // no more faults
	taken  map[string]string // volume and epoch of each Acquire → who
	last   map[causeway.VolumeID]causeway.Epoch
	hang   float64 // probability that a pause takes longer than the bound
	events int
	trace  []string
	moves  int
}

type task struct {
	at  time.Duration
	seq int
	do  func()
}

type queue []task

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(task)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func (s *sim) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.queue, task{s.now + d, s.seq, do})
}

func (s *sim) run(until time.Duration) {
	for len(s.queue) > 0 && s.queue[0].at <= until {
		next := heap.Pop(&s.queue).(task)
		s.now = next.at
		s.events++
		next.do()
	}
	s.now = until
}

func (s *sim) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(s.rng.Int64N(int64(hi-lo)))
}

func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

func (s *sim) logf(format string, args ...any) {
	if len(s.trace) > 4000 {
		s.trace = s.trace[2000:]
	}
	s.trace = append(s.trace, fmt.Sprintf("%9.3f ", s.now.Seconds())+fmt.Sprintf(format, args...))
}

func (s *sim) fatalf(format string, args ...any) {
	s.t.Helper()
	for _, line := range s.trace[max(0, len(s.trace)-150):] {
		s.t.Log(line)
	}
	s.t.Fatalf("seed %d at %v: %s", s.seed, s.now, fmt.Sprintf(format, args...))
}

// place is a placement without memory: the highest hash wins. What a node leaves goes to many, and comes back.
func place(in Input) map[causeway.VolumeID]string {
	owners := make(map[causeway.VolumeID]string)
	for _, v := range in.Volumes {
		best := uint64(0)
		for _, n := range in.Nodes {
			h := fnv.New64a()
			fmt.Fprintf(h, "%s/%d", n.Name, v.ID)
			x := h.Sum64()
			x = (x ^ x>>31) * 0x9e3779b97f4a7c15
			if record.SharesDomain(n, v) && !in.Refused[v.ID][n.Name] && x > best {
				best, owners[v.ID] = x, n.Name
			}
		}
	}
	return owners
}

func newSim(t *testing.T, seed uint64, nodes, volumes int) *sim {
	s := &sim{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), store: newSimStore(t),
		taken: make(map[string]string), last: make(map[causeway.VolumeID]causeway.Epoch), hang: 0.002}
	s.store.check = s.checkWrite
	s.store.transact(record.Create(record.Sole(record.KindCluster), &record.Cluster{ID: "c", Incarnation: 3, MinVersion: 1}, 0))
	for i := range nodes {
		name := fmt.Sprintf("g%03d", i)
		s.store.transact(record.Create(record.Named(record.KindNode, name),
			&record.Node{Name: name, Weight: 1, State: record.Active, Domains: []string{fmt.Sprint("d", i%3)}}, 0))
		n := &simNode{sim: s, name: name}
		s.nodes = append(s.nodes, n)
		s.after(s.between(0, time.Second), n.start)
	}
	for i := range volumes {
		s.store.transact(record.CreateVolume(simVolume(causeway.VolumeID(i+1), s.rng.IntN(4))))
	}
	s.after(0, s.expiry)
	return s
}

func simVolume(id causeway.VolumeID, domain int) *record.Volume {
	v := &record.Volume{ID: id, Name: fmt.Sprint("v", id), Keys: []record.HandleKey{{ID: 1}}, Backend: "mem:x", Weight: 1,
		CanMigrate: true, Domain: record.AllDomain, DomainPolicy: record.Strict}
	if domain < 3 {
		v.Domain = fmt.Sprint("d", domain)
	}
	return v
}

func (s *sim) expiry() {
	if s.now >= s.down {
		s.store.expire(s.now)
		s.wake()
	}
	s.after(s.between(50*time.Millisecond, 300*time.Millisecond), s.expiry)
}

// wake has each node see what the store logged, some time later.
func (s *sim) wake() {
	for _, n := range s.nodes {
		n.watch()
	}
}

// checkWrite holds what must be true of every write: an owner shares the volume's domain, epochs rise, and at the end of an
// ownership by a plan no gateway that could serve it does.
func (s *sim) checkWrite(k record.Key, old, new *record.Item) {
	if k.Kind != record.KindOwner {
		return
	}
	switch {
	case old == nil:
		owner := new.Value.(*record.Owner)
		vol, node := s.store.items[record.Of(record.KindVolume, k.Volume)], s.store.items[record.Named(record.KindNode, owner.Node)]
		if vol == nil || node == nil || !record.SharesDomain(node.Value.(*record.Node), vol.Value.(*record.Volume)) {
			s.fatalf("%s owns %v outside its domain", owner.Node, k.Volume)
		}
		s.logf("store: %s owns %v at %d", owner.Node, k.Volume, new.Create)
	case new == nil:
		s.logf("store: %s does not own %v any more (%d)", old.Value.(*record.Owner).Node, k.Volume, old.Create)
		if s.store.publish {
			s.moves++
			s.allPaused(k.Volume)
		}
	}
}

// allPaused checks that no gateway lets requests of a volume through that is being moved.
func (s *sim) allPaused(id causeway.VolumeID) {
	for _, n := range s.nodes {
		if n.machine == nil || s.now > n.deadline || !n.machine.joined() {
			continue
		}
		if v := n.machine.volumes[id]; v != nil && !v.paused {
			s.fatalf("%v moves, but is not paused at %s", id, n.name)
		}
	}
}

// served checks, when a gateway starts to serve a volume as its owner, that no other one does.
func (s *sim) served(n *simNode, id causeway.VolumeID) {
	epoch, ok := n.machine.Administers(id)
	if !ok {
		return
	}
	for _, other := range s.nodes {
		if other == n || other.machine == nil || s.now > other.deadline {
			continue
		}
		if theirs, both := other.machine.Administers(id); both {
			s.fatalf("%v is served by %s at %v and by %s at %v", id, n.name, epoch, other.name, theirs)
		}
	}
}

// acquired checks that an epoch belongs to one gateway, and that epochs rise.
func (s *sim) acquired(n *simNode, id causeway.VolumeID, e causeway.Epoch) {
	key, who := fmt.Sprint(id, e), fmt.Sprintf("%s#%d", n.name, n.life)
	if other, ok := s.taken[key]; ok && other != who {
		s.fatalf("%v: epoch %v is taken by %s and by %s", id, e, other, who)
	}
	s.taken[key] = who
}

// quiet checks that all has come to rest: every volume that some running node may own is owned, as placed, and open everywhere.
func (s *sim) quiet() error {
	var running []*record.Node
	for _, n := range s.nodes {
		if n.machine == nil {
			continue
		}
		settled, paused := n.machine.Settled()
		if !settled {
			return fmt.Errorf("%s is not settled", n.name)
		}
		for _, id := range paused {
			if s.store.items[record.Of(record.KindOwner, id)] != nil {
				return fmt.Errorf("%s: %v is paused", n.name, id)
			}
		}
		if node := s.store.items[record.Named(record.KindNode, n.name)].Value.(*record.Node); node.State == record.Active {
			running = append(running, node)
		}
	}
	var table record.Table
	for _, entry := range s.store.log {
		table.Apply(entry.revision, entry.changes)
	}
	var volumes []*record.Volume
	for _, item := range table.Items(record.KindVolume) {
		volumes = append(volumes, item.Value.(*record.Volume))
	}
	refused := make(map[causeway.VolumeID]map[string]bool)
	for _, item := range table.Items(record.KindRefusal) {
		if refused[item.Key.Volume] == nil {
			refused[item.Key.Volume] = make(map[string]bool)
		}
		refused[item.Key.Volume][item.Key.Name] = true
	}
	for id, want := range place(Input{Nodes: running, Volumes: volumes, Refused: refused}) {
		if owner, _ := table.Owner(id); owner == nil || !owner.Serving || owner.Node != want {
			return fmt.Errorf("%v: owner %+v, not %s", id, owner, want)
		}
	}
	for _, item := range table.Items(record.KindOwner) {
		owner := item.Value.(*record.Owner)
		if !slices.ContainsFunc(running, func(n *record.Node) bool { return n.Name == owner.Node }) {
			return fmt.Errorf("%v is owned by %s, which must not", item.Key, owner.Node)
		}
	}
	for _, kind := range []record.Kind{record.KindPlan, record.KindFence} {
		if table.Len(kind) > 0 {
			return fmt.Errorf("a %v is left", kind)
		}
	}
	return nil
}

// settleDown ends all faults and waits until all is at rest.
func (s *sim) settleDown(within time.Duration) {
	s.t.Helper()
	s.calm, s.down = true, 0
	for _, n := range s.nodes {
		n.heal()
	}
	var err error
	for end := s.now + within; s.now < end; {
		s.run(s.now + time.Second)
		if err = s.quiet(); err == nil {
			return
		}
	}
	s.fatalf("not at rest: %v", err)
}
