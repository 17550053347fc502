package member

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"time"

	"causeway/cluster/address"
	"causeway/cluster/address/mirror"
	"causeway/cluster/record"
)

// AddressLifetime is for how long service addresses are added at a time. They are prolonged while the membership lasts longer than that: the
// kernel of a gateway that is stopped gives them up before others may take them.
const AddressLifetime = time.Second

// addressRenewal is how often they are prolonged.
const addressRenewal = 300 * time.Millisecond

// Bounds of what a gateway waits for when an address changes hands in good order.
const (
	startsWithin   = 5 * time.Second // until a gateway that has joined serves, before it gets its addresses back all the same
	reportsWithin  = time.Second     // until all have said what they hold, after the start
	releasesWithin = 3 * time.Second // until the holder has let go, before it is asked on the network
)

// keeper has the service addresses that this gateway shall answer for, and no others. Its methods but close and those for the
// manager are follow's alone.
type keeper struct {
	m       *Member
	manager *address.Manager
	mirror  *mirror.Mirror
	shall   map[netip.Addr]Address // who shall answer, by the records of the revision seen
	seen    int64

	appeared map[string]time.Time   // when each member was first seen
	awaited  map[netip.Addr]awaited // addresses that another gateway is to release
	tasks    sync.WaitGroup         // operations, and the waking of clients
	serving  sync.WaitGroup         // the mirror
	begun    time.Time

	mu     sync.Mutex
	busy   map[netip.Addr]bool   // an operation is under way
	failed map[netip.Addr]string // why, so that it is said once
	said   []netip.Addr          // to Config.Holds
}

// awaited is an address that is not free yet.
type awaited struct {
	holder string
	since  time.Time
}

func newKeeper(m *Member) (k *keeper, err error) {
	k = &keeper{m: m, appeared: map[string]time.Time{}, awaited: map[netip.Addr]awaited{},
		busy: map[netip.Addr]bool{}, failed: map[netip.Addr]string{}}
	k.manager, err = address.New(address.Config{
		Listener: m.cfg.Listener, Interface: m.cfg.Interface, Lifetime: AddressLifetime, Renew: addressRenewal,
		Entitled: func(netip.Addr) bool { return m.Valid() }, Left: m.Cluster().Left, Notify: func(address.Event) { k.changed() }, Guard: m.cfg.Guard, Logger: m.log,
	})
	if err != nil {
		return nil, err
	}
	k.mirror, err = mirror.New(mirror.Config{
		Node: m.cfg.Cluster.Node, Conns: k.conns, Held: k.held, Peers: k.peers, Member: m.known,
		Client: m.client, Server: m.Cluster().Identity().Server, Changed: m.poke, Log: m.log,
	})
	return k, err
}

// known reports whether a node was not removed.
func (m *Member) client() *tls.Config { return m.Cluster().Identity().Client() }

func (m *Member) known(node string) bool { return m.Cluster().Table().Node(node) != nil }

// Arrived says that a client has connected to a service address.
func (m *Member) Arrived() { m.keeper.mirror.Arrived() }

// changed has the others told.
func (k *keeper) changed() {
	if k.mirror != nil {
		k.mirror.Poke()
	}
	k.m.poke()
}

// begin hears what other gateways say, until close.
func (k *keeper) begin() {
	k.begun = time.Now()
	k.serving.Go(func() {
		if err := k.mirror.Serve(k.m.cfg.Mirror); err != nil {
			k.m.log.Error("other gateways cannot say any more which connections they have", "err", err)
		}
	})
}

// leave gives all addresses up, and has that told. Who takes them hears of their connections still.
func (k *keeper) leave(ctx context.Context) error {
	k.tasks.Wait()
	k.mirror.Look()
	return k.manager.Close(ctx)
}

// close is for after leave.
func (k *keeper) close() error {
	err := k.mirror.Close()
	k.serving.Wait()
	return err
}

// held lists what this gateway answers for.
func (k *keeper) held() (all []netip.Addr) {
	for a, state := range k.manager.Held() {
		if state != address.Fixed {
			all = append(all, a)
		}
	}
	return all
}

// conns lists the connections to addresses that move with their clients. On loopback the kernel is the same for all.
func (k *keeper) conns() ([]address.Conn, error) {
	if moves := slices.ContainsFunc(k.held(), func(a netip.Addr) bool { return !a.IsLoopback() }); !moves {
		return nil, nil
	}
	return k.manager.Conns(k.m.cfg.Ports...)
}

// peers says where the others hear of it.
func (k *keeper) peers() map[string]string {
	all := make(map[string]string)
	for item := range k.m.Cluster().Table().All(record.KindMember) {
		if r := item.Value.(*record.Member); r.Node != k.m.cfg.Cluster.Node && r.Mirror != "" {
			all[r.Node] = r.Mirror
		}
	}
	return all
}

// keep takes and drops addresses. What fails is tried again with the next call.
func (k *keeper) keep(ctx context.Context, t *record.Table) {
	k.learn(t)
	self, shall, held := k.m.cfg.Cluster.Node, k.shall, k.manager.Held()
	for a, state := range held {
		if who := shall[a]; (who.At != self || !k.m.Valid()) && state != address.Fixed && !k.spares(who) {
			k.start(a, "drop", func() error { k.mirror.Look(); return k.manager.Drop(ctx, a) })
		}
	}
	if !k.m.Valid() {
		return
	}
	for a, who := range shall {
		if _, ok := held[a]; ok || who.At != self {
			delete(k.awaited, a)
			continue
		}
		if op, take := k.way(a, who); take != nil {
			k.start(a, op, func() error { return k.take(ctx, a, take) })
		}
	}
}

// learn takes the records in.
func (k *keeper) learn(t *record.Table) {
	if t.Revision() == k.seen {
		return
	}
	k.seen = t.Revision()
	k.shall = assigned(t)
	now := make(map[string]time.Time)
	for item := range t.All(record.KindMember) {
		now[item.Key.Name] = time.Now()
		if since, ok := k.appeared[item.Key.Name]; ok {
			now[item.Key.Name] = since
		}
	}
	k.appeared = now
	k.mirror.Poke()
}

// spares reports whether an address is kept a little longer, since the gateway to which it returns does not serve yet.
func (k *keeper) spares(who Address) bool {
	since, runs := k.appeared[who.At]
	return k.m.Valid() && runs && who.settled() && who.At != k.m.cfg.Cluster.Node && !k.mirror.Hears(who.At) && time.Since(since) < startsWithin
}

// way says how an address is to be had now; nil: not yet. One that its holder has released is free. So is that of a gateway whose
// membership has ended, whose kernel has given it up by then. Otherwise the network is asked who has it.
func (k *keeper) way(a netip.Addr, who Address) (op string, take func(context.Context, netip.Addr) error) {
	wait, waits := k.awaited[a]
	if holder := k.mirror.Holder(a); holder != "" && k.appeared[holder] != (time.Time{}) {
		if !waits {
			wait = awaited{holder, time.Now()}
			k.awaited[a] = wait
		}
		if time.Since(wait.since) < releasesWithin {
			return "", nil
		}
		return "hold", k.manager.Hold
	}
	if who.settled() && time.Since(k.begun) < reportsWithin && !k.hearsAll() {
		return "", nil
	}
	released := waits && k.mirror.Hears(wait.holder)
	if released || !who.settled() {
		return "take over", k.manager.TakeOver
	}
	return "hold", k.manager.Hold
}

// hearsAll reports whether all other members have said what they hold.
func (k *keeper) hearsAll() bool {
	for name := range k.appeared {
		if name != k.m.cfg.Cluster.Node && !k.mirror.Hears(name) {
			return false
		}
	}
	return true
}

// take gets an address, and wakes the clients that were connected to it elsewhere.
func (k *keeper) take(ctx context.Context, a netip.Addr, get func(context.Context, netip.Addr) error) error {
	if err := get(ctx, a); err != nil {
		return err
	}
	if k.manager.Held()[a] != address.Held {
		return nil
	}
	conns := k.mirror.Conns(a)
	k.tasks.Go(func() {
		sent, err := address.Tickler{}.Tickle(ctx, conns)
		if err != nil && ctx.Err() == nil {
			k.m.log.Warn("not all clients of a service address were woken: they notice by themselves, later", "addr", a, "err", err)
		}
		k.m.log.Info("clients of a service address woken", "addr", a, "connections", len(conns), "segments", sent)
	})
	return nil
}

// start runs an operation on an address, unless one is under way.
func (k *keeper) start(a netip.Addr, op string, do func() error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[a] {
		return
	}
	k.busy[a] = true
	k.tasks.Go(func() {
		err := do()
		k.mu.Lock()
		delete(k.busy, a)
		k.note(a, op, err)
		k.mu.Unlock()
		if err == nil {
			k.m.poke()
		}
	})
}

// report says which addresses are on this machine because of this gateway, when that has changed.
func (k *keeper) report() {
	var held []netip.Addr
	for a, state := range k.manager.Held() {
		if state == address.Held {
			held = append(held, a)
		}
	}
	slices.SortFunc(held, netip.Addr.Compare)
	if k.m.cfg.Holds != nil && !slices.Equal(held, k.said) {
		k.said = held
		k.m.cfg.Holds(held)
	}
}

// note says what cannot be done, once for each reason. k.mu is held.
func (k *keeper) note(a netip.Addr, op string, err error) {
	if err == nil {
		delete(k.failed, a)
		return
	}
	if text := err.Error(); k.failed[a] != text {
		k.failed[a] = text
		k.m.log.Warn("a service address does not follow", "addr", a, "op", op, "err", err)
	}
}

func contains(list []netip.Addr, a netip.Addr) bool { return slices.Contains(list, a) }
