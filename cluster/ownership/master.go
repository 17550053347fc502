package ownership

import (
	"slices"
	"strconv"
	"time"

	"causeway"
	"causeway/cluster/record"
)

// stagger is the time between the attempts of candidates to become master, so that hundreds do not try at once.
const stagger = 20 * time.Millisecond

// batch is how many volumes without an owner are assigned in one transaction: four conditions each.
const batch = 25

// master is what the node that holds the lock knows beyond the table. It can be lost at any time.
type master struct {
	lock      int64         // create revision of the lock's key; 0: somebody else holds it, or nobody
	vacant    time.Duration // since when nobody holds it; -1: somebody does
	changed   bool          // something that placement depends on
	computing uint64        // the Compute under way; 0: none
	computed  uint64        // the last one
	placement map[causeway.VolumeID]string
	plan      int64         // revision of the plan that is being confirmed
	deadline  time.Duration // until when
	fences    map[string]*fence
	thorough  int  // rounds in which placement is optimised yet; 0: none
	optimised bool // the placement that is computed, or was, is of such a round
}

// thoroughRounds bounds how often placement is optimised for one order: a round moves as many volumes as a plan holds.
const thoroughRounds = 64

// fence is a dropped node whose lease is being revoked, or was.
type fence struct {
	mod, lease int64
	asked      bool
	again      time.Duration // when to ask again
	revoked    bool
	safe       time.Duration // when the node has stopped by itself
}

func (s *master) reset() {
	*s = master{vacant: -1, computed: s.computed, fences: make(map[string]*fence)}
}

// saw notes whether placement has to be computed again.
func (s *master) saw(c record.Change) {
	switch c.Key.Kind {
	case record.KindNode, record.KindMember, record.KindVolume, record.KindRefusal, record.KindSettings:
		s.changed = true
	case record.KindRebalance:
		if s.changed = true; c.Item != nil && c.Item.Value.(*record.Rebalance).Thorough {
			s.thorough = thoroughRounds
		}
	case record.KindFence, record.KindPlan:
		s.changed = s.changed || c.Item == nil
	}
}

func (s *master) placed(_ *Machine, e Placed) {
	if e.ID == s.computing && s.lock != 0 {
		s.computing, s.placement = 0, e.Owners
		if e.Owners == nil {
			s.placement = map[causeway.VolumeID]string{}
		}
	}
}

// failed notes that a write of the master's did not come about.
func (s *master) failed(p purpose) {
	if p.volume == 0 && (p.what == "assign" || p.what == "plan" || p.what == "publish") {
		s.changed = true
	}
}

func (s *master) calm(m *Machine) bool {
	lock := m.table.Get(record.Sole(record.KindLock))
	if lock == nil || lock.Lease != m.self.Lease {
		return lock != nil
	}
	return s.lock != 0 && !s.changed && s.computing == 0 && s.placement == nil && len(s.fences) == 0 && m.table.Len(record.KindPlan) == 0
}

func (s *master) advance(m *Machine) {
	if !m.joined() {
		return
	}
	lock := m.table.Get(record.Sole(record.KindLock))
	switch {
	case lock == nil:
		s.stand(m)
		return
	case lock.Lease != m.self.Lease:
		s.reset()
		return
	case lock.Create != s.lock:
		s.reset()
		s.lock, s.changed = lock.Create, true
	}
	s.advanceFences(m)
	if plan := m.table.Get(record.Sole(record.KindPlan)); plan != nil {
		s.advancePlan(m, plan)
		return
	}
	if s.placement != nil && !s.writing(m) {
		s.carryOut(m)
	}
	if s.changed && s.computing == 0 && s.placement == nil && !s.writing(m) {
		s.compute(m)
	}
}

// stand tries to become master, in turn by name.
func (s *master) stand(m *Machine) {
	if s.lock != 0 || s.vacant < 0 {
		s.reset()
		s.vacant = m.now
	}
	if m.stopping {
		return
	}
	rank := time.Duration(0)
	for item := range m.table.All(record.KindMember) {
		if item.Key.Name < m.cfg.Node {
			rank++
		}
	}
	if m.now-s.vacant < min(rank, 50)*stagger {
		return
	}
	key := record.Sole(record.KindLock)
	m.transact(purpose{what: "lock"}, record.Create(key, &record.Lock{Node: m.cfg.Node}, m.self.Lease))
}

// transact makes a transaction that holds only as long as this node is the master.
func (s *master) transact(m *Machine, p purpose, txn record.Txn) {
	txn.If = append(txn.If, record.CreatedAt(record.Sole(record.KindLock), s.lock))
	m.transact(p, txn)
}

func (s *master) writing(m *Machine) bool {
	for p := range m.waits.now {
		if p.what == "assign" || p.what == "plan" || p.what == "publish" || p.what == "abandon" {
			return true
		}
	}
	return false
}

// active returns the node's record if it may own volumes now.
func active(t *record.Table, name string) *record.Node {
	node, member := t.Node(name), t.Get(record.Named(record.KindMember, name))
	if node == nil || member == nil || node.State != record.Active {
		return nil
	}
	return node
}

func (s *master) compute(m *Machine) {
	s.computed++
	s.computing, s.changed = s.computed, false
	in := InputOf(&m.table)
	s.optimised = s.thorough > 0
	in.Thorough = s.optimised
	m.emit(Compute{s.computing, in})
}

// InputOf returns what placement is computed from.
func InputOf(t *record.Table) Input {
	in := Input{Owners: make(map[causeway.VolumeID]string), Refused: make(map[causeway.VolumeID]map[string]bool),
		Settings: t.Settings(), Returned: make(map[string]time.Time)}
	for _, item := range t.Items(record.KindNode) {
		if n := active(t, item.Key.Name); n != nil {
			in.Nodes = append(in.Nodes, n)
			if member, _ := t.Member(n.Name); member.Returned {
				in.Returned[n.Name] = member.Since
			}
		}
	}
	for _, item := range t.Items(record.KindVolume) {
		in.Volumes = append(in.Volumes, item.Value.(*record.Volume))
	}
	for item := range t.All(record.KindAssign) {
		in.Owners[item.Key.Volume] = item.Value.(*record.Assign).Node
	}
	for item := range t.All(record.KindRefusal) {
		if in.Refused[item.Key.Volume] == nil {
			in.Refused[item.Key.Volume] = make(map[string]bool)
		}
		in.Refused[item.Key.Volume][item.Key.Name] = true
	}
	return in
}

// target returns the node that placement chose for a volume, or "" if there is none that may own it now.
func (s *master) target(m *Machine, v *record.Volume, name string) string {
	node := active(&m.table, name)
	if node == nil || !record.SharesDomain(node, v) || m.table.Get(record.Refused(v.ID, name)) != nil {
		return ""
	}
	return name
}

// carryOut publishes what changed: at once for volumes that nobody owns, by a plan for the others.
func (s *master) carryOut(m *Machine) {
	var orphans []record.Txn
	var moves []record.Move
	for _, item := range m.table.Items(record.KindVolume) {
		v := item.Value.(*record.Volume)
		to, from := s.target(m, v, s.placement[v.ID]), m.table.Assigned(v.ID)
		if to == from {
			continue
		}
		if owner, create := m.table.Owner(v.ID); owner != nil {
			moves = append(moves, record.Move{Volume: v.ID, From: owner.Node, To: to, Owner: create})
		} else if from == "" || m.table.Get(record.Named(record.KindFence, from)) == nil {
			orphans = append(orphans, assignOrphan(m, item, from, to))
		}
	}
	s.placement = nil
	if s.optimised {
		if s.thorough--; len(orphans)+len(moves) == 0 {
			s.thorough = 0
		}
	}
	for i, some := range slices.Collect(slices.Chunk(orphans, batch)) {
		var txn record.Txn
		for _, one := range some {
			txn.If, txn.Then = append(txn.If, one.If...), append(txn.Then, one.Then...)
		}
		s.transact(m, purpose{what: "assign", node: strconv.Itoa(i)}, txn)
	}
	// What moves now might be in use at a dropped node; once its fence is lifted, placement is computed again.
	if len(moves) == 0 || len(s.fences) > 0 {
		return
	}
	if len(orphans) > 0 {
		s.changed = true // the moves come after
		return
	}
	plan := &record.Plan{Master: m.cfg.Node, Moves: moves[:min(len(moves), m.cfg.MaxMoves)]}
	s.transact(m, purpose{what: "plan"}, record.Create(record.Sole(record.KindPlan), plan, m.self.Lease))
}

// assignOrphan assigns a volume that nobody owns, unless somebody comes to own it, or did until he was dropped.
func assignOrphan(m *Machine, volume *record.Item, from, to string) record.Txn {
	assign := record.Of(record.KindAssign, volume.Key.Volume)
	txn := record.Txn{If: []record.Cond{record.Absent(record.Of(record.KindOwner, volume.Key.Volume)),
		record.Unchanged(assign, m.table.Mod(assign)), record.Unchanged(volume.Key, volume.Mod)}}
	if from != "" {
		txn.If = append(txn.If, record.Absent(record.Named(record.KindFence, from)))
	}
	txn.Then = []record.Op{record.Delete(assign)}
	if to != "" {
		txn.Then = []record.Op{record.Put(assign, &record.Assign{Node: to}, 0)}
	}
	return txn
}
