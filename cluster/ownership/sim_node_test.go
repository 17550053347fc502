package ownership

import (
	"fmt"
	"time"

	"causeway"
	"causeway/cluster/record"
)

// simNode drives a machine as a gateway does, with a network and a clock that fail.
type simNode struct {
	sim      *sim
	name     string
	life     int // rises when the process starts
	machine  *Machine
	lease    int64
	deadline time.Duration // until when the gateway may serve
	seen     int           // entries of the store's log that were handed to the machine
	watching bool
	deaf     time.Duration // until when nothing comes from the store
	mute     time.Duration // until when nothing goes to the store
	stuck    time.Duration // until when the process is stopped
	inc      uint64
}

func (n *simNode) start() {
	if n.machine != nil {
		return
	}
	n.life++
	n.lease, n.deadline, n.seen = 0, 0, 0
	n.machine, _ = New(Config{Node: n.name, LeaseTTL: ttl})
	n.sim.logf("%s: starts", n.name)
	n.watching = false
	n.watch()
	n.tick(n.life)
}

func (n *simNode) crash() {
	if n.machine != nil {
		n.sim.logf("%s: crashes", n.name)
		n.machine = nil
		n.life++
	}
}

func (n *simNode) heal() {
	n.deaf, n.mute = 0, 0
	n.stuck = min(n.stuck, n.sim.now)
	n.start()
}

// later runs do in this process, after d and not before the process runs again.
func (n *simNode) later(d time.Duration, do func()) {
	life := n.life
	var try func()
	try = func() {
		switch {
		case n.life != life || n.machine == nil:
		case n.stuck > n.sim.now:
			n.sim.after(n.stuck-n.sim.now, try)
		default:
			do()
		}
	}
	n.sim.after(d, try)
}

func (n *simNode) tick(life int) {
	n.step(Tick{})
	n.later(n.sim.between(40*time.Millisecond, 100*time.Millisecond), func() { n.tick(life) })
}

// watch hands the store's log to the machine, once it has travelled.
func (n *simNode) watch() {
	if n.machine == nil || n.watching || n.seen == len(n.sim.store.log) {
		return
	}
	n.watching = true
	delay := n.sim.between(time.Millisecond, 20*time.Millisecond)
	if !n.sim.calm && n.sim.chance(0.01) {
		delay = n.sim.between(100*time.Millisecond, 1500*time.Millisecond)
	}
	n.later(max(delay, n.deaf-n.sim.now), func() {
		if n.deaf > n.sim.now {
			n.watching = false
			n.watch()
			return
		}
		log := n.sim.store.log[n.seen:]
		n.seen += len(log)
		n.watching = false
		for _, entry := range log {
			if n.machine == nil {
				return
			}
			n.step(Changed{entry.revision, entry.changes})
		}
		n.watch()
	})
}

// step hands an event to the machine, after it has learned whether its lease may have ended.
func (n *simNode) step(e Event) {
	if n.lease != 0 && n.sim.now > n.deadline {
		n.sim.logf("%s: lease %d cannot be relied on", n.name, n.lease)
		lease := n.lease
		n.lease = 0
		n.do(n.machine.Step(n.sim.now, LeaseLost{lease}))
	}
	if n.machine == nil {
		return
	}
	effects := n.machine.Step(n.sim.now, e)
	if h, ok := e.(HookDone); ok && h.Hook == Resume {
		n.sim.served(n, h.Volume)
	}
	n.do(effects)
}

func (n *simNode) do(effects []Effect) {
	for _, e := range effects {
		if n.machine == nil {
			return
		}
		n.effect(e)
		if n.machine != nil && n.machine.master.lock != 0 && !n.sim.calm && n.sim.chance(0.003) {
			n.sim.logf("%s: the master dies between two effects", n.name)
			n.crash()
			n.sim.after(n.sim.between(0, 5*time.Second), n.start)
		}
	}
}

func (n *simNode) effect(e Effect) {
	switch e := e.(type) {
	case Transact:
		n.sim.logf("%s: %d: if %d then %s", n.name, e.ID, len(e.Txn.If), describe(e.Txn.Then))
		n.call(func() (bool, int64) { return n.sim.store.transact(e.Txn) }, func(o Outcome, rev int64) { n.step(TxnDone{e.ID, o, rev}) })
	case Join:
		n.later(n.sim.between(0, 10*time.Millisecond), n.join)
	case Fence:
		n.lease, n.deadline = 0, 0
	case RunHook:
		n.hook(e)
	case Compute:
		owners := place(e.Input)
		n.later(n.sim.between(time.Millisecond, 200*time.Millisecond), func() { n.step(Placed{e.ID, owners}) })
	case Revoke:
		n.call(func() (bool, int64) { n.sim.store.revoke(e.Lease); return true, 0 }, func(o Outcome, _ int64) { n.step(Revoked{e.Lease, o == Done}) })
	case Stopped:
		n.sim.logf("%s: stopped", n.name)
		lease := n.lease
		n.crash()
		n.sim.store.revoke(lease)
		n.sim.wake()
	}
}

func describe(ops []record.Op) string {
	s := ""
	for _, op := range ops {
		if op.Value == nil {
			s += "-"
		}
		s += op.Key.String()[len(record.Prefix):] + " "
	}
	return s
}

// call sends a request to the store and waits for the reply. Either can be late or lost; then the request may still be done.
func (n *simNode) call(request func() (bool, int64), reply func(Outcome, int64)) {
	s, answered := n.sim, false
	answer := func(o Outcome, rev int64) {
		if !answered {
			answered = true
			reply(o, rev)
		}
	}
	n.later(time.Second, func() { answer(Unknown, 0) })
	there, back := s.between(time.Millisecond, 10*time.Millisecond), s.between(time.Millisecond, 10*time.Millisecond)
	if !s.calm && s.chance(0.02) {
		there = s.between(0, 4*time.Second)
	}
	if !s.calm && s.chance(0.02) || n.mute > s.now {
		return
	}
	s.after(there, func() {
		if s.down > s.now {
			return
		}
		ok, rev := request()
		s.wake()
		if n.deaf > s.now || !s.calm && s.chance(0.02) {
			return
		}
		n.later(back, func() {
			if ok {
				answer(Done, rev)
			} else {
				answer(Refused, rev)
			}
		})
	})
}

func (n *simNode) join() {
	s := n.sim
	again := func() { n.later(200*time.Millisecond, n.join) }
	n.inc++
	inc, sent := n.inc, s.now
	var lease int64
	n.call(func() (bool, int64) {
		if old := s.store.items[record.Named(record.KindMember, n.name)]; old != nil {
			s.store.revoke(old.Lease) // its own earlier self's
		}
		lease = s.store.grant(s.now)
		return s.store.transact(JoinTxn(&record.Member{Node: n.name, Incarnation: inc, Lease: lease}))
	}, func(o Outcome, rev int64) {
		if o != Done || s.now > sent+ttl-margin {
			again()
			return
		}
		n.lease, n.deadline = lease, sent+ttl-margin
		s.logf("%s: joined as %d with lease %d", n.name, inc, lease)
		n.keepAlive(lease)
		n.step(Joined{inc, lease, rev})
	})
}

func (n *simNode) keepAlive(lease int64) {
	n.later(ttl/4, func() {
		if n.lease != lease {
			return
		}
		n.keepAlive(lease)
		s, sent := n.sim, n.sim.now
		n.call(func() (bool, int64) {
			if _, ok := s.store.leases[lease]; !ok {
				return false, 0
			}
			s.store.leases[lease] = s.now + ttl
			return true, 0
		}, func(o Outcome, _ int64) {
			switch {
			case n.lease != lease:
			case o == Done:
				n.deadline = max(n.deadline, sent+ttl-margin)
			case o == Refused:
				n.lease, n.deadline = 0, 0
				n.step(LeaseLost{lease})
			}
		})
	})
}

func (n *simNode) hook(e RunHook) {
	s := n.sim
	failed, took := "", s.between(0, 5*time.Millisecond)
	if e.Hook == Acquire {
		s.acquired(n, e.Volume, e.Epoch)
		if !s.calm && s.chance(0.01) {
			failed = "no path to the storage"
		}
	}
	if !s.calm && s.chance(s.hang) {
		took = s.between(0, 3*time.Second)
	}
	n.later(took, func() { n.step(HookDone{e.Volume, e.Hook, failed}) })
}

// fault does something bad to the cluster, and repairs it later.
func (s *sim) fault() {
	if s.calm {
		return
	}
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	if s.chance(0.3) {
		if lock := s.store.items[record.Sole(record.KindLock)]; lock != nil {
			for _, other := range s.nodes {
				if other.name == lock.Value.(*record.Lock).Node {
					n = other
				}
			}
		}
	}
	long := s.between(0, 6*time.Second)
	switch s.rng.IntN(9) {
	case 0:
		n.crash()
		s.after(long, n.start)
	case 1:
		s.logf("%s: paused for %v", n.name, long)
		n.stuck = s.now + long
	case 2:
		s.logf("%s: cut off for %v", n.name, long)
		n.deaf, n.mute = s.now+long, s.now+long
	case 3:
		s.logf("%s: deaf for %v", n.name, long)
		n.deaf = s.now + long
	case 4:
		s.logf("%s: mute for %v", n.name, long)
		n.mute = s.now + long
	case 5:
		if s.chance(0.3) {
			s.logf("the store is away for %v", long/2)
			s.down = s.now + long/2
			s.store.leaderChange(s.down)
		}
	case 6:
		s.editVolume()
	case 7:
		s.editNode(n)
	case 8:
		if n.machine != nil && n.stuck <= s.now {
			s.logf("%s: asked to stop", n.name)
			n.step(Stop{})
			s.after(long+time.Second, n.start)
		}
	}
}

func (s *sim) editVolume() {
	switch id := causeway.VolumeID(1 + s.rng.IntN(len(s.store.items))); s.rng.IntN(3) {
	case 0:
		s.store.transact(record.CreateVolume(simVolume(causeway.VolumeID(10000+s.store.revision), s.rng.IntN(4))))
	case 1:
		if old := s.store.items[record.Of(record.KindVolume, id)]; old != nil {
			v := simVolume(id, s.rng.IntN(4))
			s.logf("%v has domain %s", id, v.Domain)
			s.store.transact(record.Update(old, v))
		}
	case 2:
		if old := s.store.items[record.Of(record.KindVolume, id)]; old != nil && s.chance(0.2) {
			s.logf("%v is removed", id)
			s.store.transact(record.RemoveVolume(old))
		}
	}
	s.wake()
}

func (s *sim) editNode(n *simNode) {
	old := s.store.items[record.Named(record.KindNode, n.name)]
	edited := *old.Value.(*record.Node)
	if s.chance(0.5) {
		edited.Domains = []string{fmt.Sprint("d", s.rng.IntN(3))}
	} else if edited.State = record.Active; s.chance(0.3) {
		edited.State = record.Draining
	}
	s.logf("%s is set to %v %v", n.name, edited.State, edited.Domains)
	s.store.transact(record.Update(old, &edited))
	s.wake()
}
