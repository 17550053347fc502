package address

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"causeway"

	"golang.org/x/sys/unix"
)

var (
	service4 = netip.MustParseAddr("10.98.0.100")
	service6 = netip.MustParseAddr("fd98::100")
)

// both runs a test for each family.
func both(t *testing.T, test func(t *testing.T, addr netip.Addr)) {
	t.Parallel()
	t.Run("IPv4", func(t *testing.T) { t.Parallel(); test(t, service4) })
	t.Run("IPv6", func(t *testing.T) { t.Parallel(); test(t, service6) })
}

func TestHoldAndDrop(t *testing.T) { both(t, testHoldAndDrop) }

func testHoldAndDrop(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	for range 2 {
		g.must("hold", addr)
		g.must("hold", addr)
		if present, mortal := g.has(addr); !present || !mortal {
			t.Fatalf("held: present %v, with a lifetime %v", present, mortal)
		}
		if name := client.whoAnswers(addr); name != "g1" {
			t.Fatalf("%q answers", name)
		}
		g.must("drop", addr)
		g.must("drop", addr)
		if present, _ := g.has(addr); present {
			t.Fatal("the address stays after Drop")
		}
		if name := client.tryName(addr); name != "" {
			t.Fatalf("%q answers after Drop", name)
		}
	}
}

// TestRenewed lives for longer than the lifetime of the address.
func TestRenewed(t *testing.T) {
	t.Parallel()
	hosts := newNetwork(t, 1)
	g := hosts[0].gateway("g1")
	g.must("hold", service4)
	g.must("hold", service6)
	restored := map[netip.Addr]bool{}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, addr := range []netip.Addr{service4, service6} {
			present, mortal := g.has(addr)
			if !present && !restored[addr] { // a busy machine has not let it renew once
				restored[addr] = true
				g.awaits(Restored, addr)
				continue
			}
			if !present || !mortal {
				t.Fatalf("%v: present %v, with a lifetime %v", addr, present, mortal)
			}
		}
	}
}

// TestShortStop: a process that was stopped for longer than its address lives, but not for as long as others leave that to it, has it again, with
// its connections.
func TestShortStop(t *testing.T) { both(t, testShortStop) }

func testShortStop(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gatewayWith("g1", time.Second), hosts[1]
	g.must("hold", addr)
	conn, err := client.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if name := askName(conn); name != "g1" {
			t.Fatalf("%q answers", name)
		}
		g.signal(syscall.SIGSTOP)
		eventually(t, "the stopped process's address expires", func() bool { present, _ := g.has(addr); return !present })
		g.signal(syscall.SIGCONT)
		eventually(t, "the address is back", func() bool { present, _ := g.has(addr); return present })
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers after the stop", name)
	}
}

// TestStoppedProcess: a stopped process loses its address, the taker's is used, and waking changes nothing.
func TestStoppedProcess(t *testing.T) { both(t, testStoppedProcess) }

func testStoppedProcess(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 4)
	g1, g2, client, third := hosts[0].gatewayWith("g1", 2*time.Second, leftEnv+"=short"), hosts[1].gateway("g2"), hosts[2], hosts[3]
	g1.must("hold", addr)
	conn, err := client.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*host{client, third} {
		if name := h.whoAnswers(addr); name != "g1" {
			t.Fatalf("%q answers", name)
		}
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	g1.signal(syscall.SIGSTOP)
	eventually(t, "the stopped process's address expires", func() bool { present, _ := g1.has(addr); return !present })
	g2.must("take over", addr)
	for _, h := range []*host{client, third} {
		eventually(t, "the neighbours follow", func() bool { return h.neighbour(addr) == g2.mac() })
		if name := h.whoAnswers(addr); name != "g2" {
			t.Fatalf("%q answers", name)
		}
	}
	g1.signal(syscall.SIGCONT)
	if e := g1.awaits(Lapsed, addr); e.State != Free {
		t.Fatal(e)
	}
	if present, _ := g1.has(addr); present {
		t.Fatal("the woken process took the address back")
	}
	if held := g1.ask(order{Do: "held"}).Held; len(held) != 0 {
		t.Fatal(held)
	}
	for _, h := range []*host{client, third} {
		if name := h.whoAnswers(addr); name != "g2" || h.neighbour(addr) != g2.mac() {
			t.Fatalf("%q answers after the process woke", name)
		}
	}
	// It may not take it politely either, but can be told to when the other has left.
	if r := g1.ask(order{Do: "hold", Addr: addr}); r.Code != causeway.ErrBusy || !strings.Contains(r.Err, g2.mac()) || !strings.Contains(r.Err, addr.String()) {
		t.Fatal(r)
	}
	g2.must("drop", addr)
	g1.must("hold", addr)
	if name := client.whoAnswers(addr); name != "g1" {
		t.Fatalf("%q answers", name)
	}
}

// TestTakeOverWhileOldKernelAnswers: the taker does not wait for the lifetime of the stopped process's address.
func TestTakeOverWhileOldKernelAnswers(t *testing.T) { both(t, testTakeOverWhileOldKernelAnswers) }

func testTakeOverWhileOldKernelAnswers(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 3)
	g1, g2, client := hosts[0].gateway("g1"), hosts[1].gateway("g2"), hosts[2]
	g1.must("hold", addr)
	if name := client.whoAnswers(addr); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	g1.signal(syscall.SIGSTOP)
	if r := g2.ask(order{Do: "hold", Addr: addr}); r.Code != causeway.ErrBusy {
		t.Fatal("took an address politely that another machine answers for", r)
	}
	g2.must("take over", addr)
	eventually(t, "the neighbour follows", func() bool { return client.neighbour(addr) == g2.mac() })
	eventually(t, "the stopped process's address expires", func() bool { present, _ := g1.has(addr); return !present })
	if name := client.whoAnswers(addr); name != "g2" {
		t.Fatalf("%q answers", name)
	}
}

func TestRemovedByHand(t *testing.T) { both(t, testRemovedByHand) }

func testRemovedByHand(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	g.must("hold", addr)
	g.ip("addr del " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev " + ifname)
	g.awaits(Restored, addr)
	if name := client.whoAnswers(addr); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	// Again, and not by "addr flush", which goes on until the address stays away.
	g.ip("addr del " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev " + ifname)
	g.awaits(Restored, addr)
	if present, mortal := g.has(addr); !present || !mortal {
		t.Fatalf("present %v, with a lifetime %v", present, mortal)
	}
}

// TestHeardAtOnce: what somebody does to an address is put right long before the next renewal, which here takes 24 s.
func TestHeardAtOnce(t *testing.T) { both(t, testHeardAtOnce) }

func testHeardAtOnce(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 1)
	g := hosts[0].gatewayWith("g1", time.Minute)
	held := time.Now()
	g.must("hold", addr)
	g.ip("addr del " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev " + ifname)
	g.awaits(Restored, addr)
	if took := time.Since(held); took > 20*time.Second {
		t.Fatal("only the renewal brought it back, after", took)
	}
}

func TestLinkDownAndUp(t *testing.T) { both(t, testLinkDownAndUp) }

func testLinkDownAndUp(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	g.must("hold", addr)
	for range 2 {
		g.ip("link set " + ifname + " down")
		g.awaits(LinkDown, addr)
		g.ip("link set " + ifname + " up")
		if addr.Is6() { // the kernel forgets IPv6 addresses of a link that goes down; the operator's come back by his hand
			g.ip("addr add " + own6(g.n).String() + "/64 dev " + ifname + " nodad")
		}
		g.awaits(LinkUp, addr)
		eventually(t, "the address answers again", func() bool { return client.whoAnswers(addr) == "g1" })
	}
}

// TestOperatorsAddress: an address without a lifetime of ours is only listened on.
func TestOperatorsAddress(t *testing.T) { both(t, testOperatorsAddress) }

func testOperatorsAddress(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	g.ip("addr add " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev " + ifname + " nodad")
	g.must("hold", addr)
	if e := g.awaits(Taken, addr); e.State != Fixed || e.Interface != ifname {
		t.Fatal(e)
	}
	if name := client.whoAnswers(addr); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	if r := g.ask(order{Do: "drop", Addr: addr}); r.Code != causeway.ErrPerm || !strings.Contains(r.Err, addr.String()) || !strings.Contains(r.Err, ifname) {
		t.Fatal(r)
	}
	if present, mortal := g.has(addr); !present || mortal {
		t.Fatalf("present %v, with a lifetime %v", present, mortal)
	}
	if name := client.whoAnswers(addr); name != "g1" {
		t.Fatalf("%q answers", name)
	}
}

// TestOperatorSeizes: an operator who makes a held address permanent keeps it.
func TestOperatorSeizes(t *testing.T) { both(t, testOperatorSeizes) }

func testOperatorSeizes(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 1)
	g := hosts[0].gateway("g1")
	g.must("hold", addr)
	g.ip("addr change " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev " + ifname + " valid_lft forever preferred_lft forever")
	if e := g.awaits(Seized, addr); e.State != Fixed {
		t.Fatal(e)
	}
	if r := g.ask(order{Do: "drop", Addr: addr}); r.Code != causeway.ErrPerm {
		t.Fatal(r)
	}
	if present, mortal := g.has(addr); !present || mortal {
		t.Fatalf("present %v, with a lifetime %v", present, mortal)
	}
}

// TestSleepDuringHold: a process that sleeps within Hold must not act on what it was told before. The sleep is tried at every
// look at the clock.
func TestSleepDuringHold(t *testing.T) { both(t, testSleepDuringHold) }

func testSleepDuringHold(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 1)
	g := hosts[0].gateway("g1")
	for look := 2; ; look++ {
		g.ask(order{Do: "sleep", Look: look})
		r := g.ask(order{Do: "take over", Addr: addr})
		if r.Err == "" {
			if look < 4 {
				t.Fatal("the clock was looked at too rarely: ", look)
			}
			g.awaits(Lapsed, addr) // the sleep was after Hold
		} else if r.Code != causeway.ErrPerm {
			t.Fatal(r)
		}
		if present, _ := g.has(addr); present || len(g.ask(order{Do: "held"}).Held) != 0 {
			t.Fatal("a sleeper took the address, at look ", look)
		}
		if r.Err == "" {
			return
		}
	}
}

// TestNotEntitled: an address is given up when this gateway may not have it any more, whoever forgot to drop it.
func TestNotEntitled(t *testing.T) { both(t, testNotEntitled) }

func testNotEntitled(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 1)
	g := hosts[0].gateway("g1")
	g.must("hold", addr)
	g.ask(order{Do: "disentitle"})
	g.awaits(Lapsed, addr)
	if present, _ := g.has(addr); present {
		t.Fatal("the address stays")
	}
	if r := g.ask(order{Do: "hold", Addr: addr}); r.Code != causeway.ErrPerm || !strings.Contains(r.Err, addr.String()) {
		t.Fatal(r)
	}
	g.ask(order{Do: "entitle"})
	g.must("hold", addr)
}

// TestOtherAnswersStill: a takeover from a machine that goes on answering is told.
func TestOtherAnswersStill(t *testing.T) { both(t, testOtherAnswersStill) }

func testOtherAnswersStill(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g := hosts[1].gateway("g2")
	hosts[0].ip("addr add " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev " + ifname + " nodad")
	g.must("take over", addr)
	if e := g.awaits(Conflict, addr); e.Holder != hosts[0].mac() || e.State != Held {
		t.Fatal(e)
	}
}

// TestCableComesBack: a gateway that runs on without its cable does not take back what another has taken over.
func TestCableComesBack(t *testing.T) { both(t, testCableComesBack) }

func testCableComesBack(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 3)
	g1, g2, client := hosts[0].gateway("g1"), hosts[1].gateway("g2"), hosts[2]
	g1.must("hold", addr)
	g1.unplug()
	g1.awaits(LinkDown, addr)
	g2.must("take over", addr)
	eventually(t, "the address expires without a link", func() bool { present, _ := g1.has(addr); return !present })
	if name := client.whoAnswers(addr); name != "g2" {
		t.Fatalf("%q answers", name)
	}
	g1.plug()
	g1.awaits(Lapsed, addr)
	if present, _ := g1.has(addr); present {
		t.Fatal("the address stays")
	}
	if name := client.whoAnswers(addr); name != "g2" || client.neighbour(addr) != g2.mac() {
		t.Fatalf("%q answers after the cable is back", name)
	}
}

// TestInterfaceComesBack: an address whose interface was deleted is held again on the next of that name.
func TestInterfaceComesBack(t *testing.T) {
	t.Parallel()
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	g.must("hold", service4)
	g.ip("link del " + ifname)
	g.awaits(Unrenewed, service4)
	g.attach()
	g.awaits(Restored, service4)
	if name := client.whoAnswers(service4); name != "g1" {
		t.Fatalf("%q answers", name)
	}
}

// TestRestart: what a killed process has left is taken on by the next.
func TestRestart(t *testing.T) {
	t.Parallel()
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("old"), hosts[1]
	g.must("hold", service4)
	next := hosts[0].gateway("new")
	g.signal(syscall.SIGKILL)
	eventually(t, "the new process holds the address", func() bool { return next.ask(order{Do: "hold", Addr: service4}).Err == "" })
	if name := client.whoAnswers(service4); name != "new" {
		t.Fatalf("%q answers", name)
	}
}

func TestNoInterface(t *testing.T) {
	t.Parallel()
	hosts := newNetwork(t, 1)
	g := hosts[0].gateway("g1")
	foreign := netip.MustParseAddr("192.0.2.1")
	if r := g.ask(order{Do: "hold", Addr: foreign}); r.Code != causeway.ErrNoDev || !strings.Contains(r.Err, foreign.String()) {
		t.Fatal(r)
	}
}

func TestLoopbackIsOnlyListenedOn(t *testing.T) {
	t.Parallel()
	hosts := newNetwork(t, 1)
	g := hosts[0].gateway("g1")
	addr := netip.MustParseAddr("127.0.0.77")
	g.must("hold", addr)
	if e := g.awaits(Taken, addr); e.State != Listening {
		t.Fatal(e)
	}
	if name := g.whoAnswers(addr); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	g.must("drop", addr)
	if name := g.tryName(addr); name != "" {
		t.Fatalf("%q answers", name)
	}
}

// TestTickle: the gateway of a quiet client dies with its machine. The move alone does not reach the client; a tickle resets his
// connection although he sends nothing.
func TestTickle(t *testing.T) { both(t, testTickle) }

func testTickle(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 3)
	g1, g2, client := hosts[0].gateway("g1"), hosts[1].gateway("g2"), hosts[2]
	g1.must("hold", addr)
	conn, err := client.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	table := replicate(t, g1)
	want := Conn{Local: conn.RemoteAddr().(*netTCPAddr).AddrPort(), Client: conn.LocalAddr().(*netTCPAddr).AddrPort()}
	if conns := table.Conns(addr); len(conns) != 1 || conns[0] != want {
		t.Fatalf("the table has %v, not %v", conns, want)
	}
	g1.unplug()
	g2.must("take over", addr)
	if name := client.whoAnswers(addr); name != "g2" {
		t.Fatalf("%q answers", name)
	}
	if state := tcpState(t, conn); state != stateOpen {
		t.Fatal("the move alone ended the connection: state", state)
	}
	wire := client.sniff()
	if r := g2.ask(order{Do: "tickle", Conns: table.Conns(addr), Tickler: Tickler{Rounds: 1}}); r.Err != "" || r.Sent != 1 {
		t.Fatal(r)
	}
	_ = conn.SetReadDeadline(time.Now().Add(bound))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatal("not reset:", err)
	}
	got := wire.until(want, func(seen []segmentSeen) bool { return seen[len(seen)-1].flags&flagRST != 0 })
	if len(got) != 3 || !got[0].toClient || got[0].flags != flagACK || got[1].toClient || got[1].flags != flagACK || got[1].payload != 0 || !got[2].toClient {
		t.Fatalf("not tickle, challenge, reset: %+v", got)
	}
}

// TestTickleSparesTheLiving: a client who is connected to the new holder is not harmed.
func TestTickleSparesTheLiving(t *testing.T) { both(t, testTickleSparesTheLiving) }

func testTickleSparesTheLiving(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	g.must("hold", addr)
	conn, err := client.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	if r := g.ask(order{Do: "tickle", Conns: replicate(t, g).Conns(addr), Tickler: Tickler{Rounds: 2, Pause: time.Millisecond}}); r.Err != "" || r.Sent != 2 {
		t.Fatal(r)
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers after the tickle", name)
	}
}

// TestDropIsSilent: a client of a gateway that leaves hears nothing from it, neither FIN nor RST.
func TestDropIsSilent(t *testing.T) { both(t, testDropIsSilent) }

func testDropIsSilent(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 3)
	g1, g2, client := hosts[0].gateway("g1"), hosts[1].gateway("g2"), hosts[2]
	g1.must("hold", addr)
	conn, err := client.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	table := replicate(t, g1)
	g1.must("drop", addr)
	g2.must("hold", addr)
	if name := client.whoAnswers(addr); name != "g2" {
		t.Fatalf("%q answers", name)
	}
	if state := tcpState(t, conn); state != stateOpen {
		t.Fatal("the leaving gateway ended the connection: state", state)
	}
	g2.ask(order{Do: "tickle", Conns: table.Conns(addr), Tickler: Tickler{Rounds: 1}})
	_ = conn.SetReadDeadline(time.Now().Add(bound))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatal("not reset:", err)
	}
}

// TestNeverRefused: while an address comes and goes, a client may wait, but is never refused.
func TestNeverRefused(t *testing.T) { both(t, testNeverRefused) }

func testNeverRefused(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	stop, stopped := make(chan struct{}), make(chan map[error]int, 1)
	var connected atomic.Bool
	go func() {
		results := map[error]int{}
		for {
			select {
			case <-stop:
				stopped <- results
				return
			default:
			}
			var err error
			client.do(func() {
				var c net.Conn
				if c, err = net.DialTimeout("tcp", netip.AddrPortFrom(addr, port).String(), 20*time.Millisecond); err == nil {
					connected.Store(true)
					_ = c.Close()
				}
			})
			errno := syscall.Errno(0)
			errors.As(err, &errno)
			if err != nil && errno == 0 {
				errno = syscall.ETIMEDOUT
			}
			results[errno]++
		}
	}()
	for begun, n := time.Now(), 0; n < 30 || !connected.Load() && time.Since(begun) < bound; n++ {
		g.must("take over", addr)
		time.Sleep(10 * time.Millisecond)
		g.must("drop", addr)
	}
	close(stop)
	results := <-stopped
	if results[syscall.Errno(0)] == 0 || results[syscall.ECONNREFUSED] != 0 || results[syscall.ECONNRESET] != 0 {
		t.Fatal(results)
	}
	t.Log(results)
}

// replicate brings a gateway's table over as another gateway would get it.
func replicate(t *testing.T, g *gateway) *Table {
	t.Helper()
	r := g.ask(order{Do: "conns"})
	if r.Err != "" {
		t.Fatal(r.Err)
	}
	var from, to Table
	d, _ := from.Update(r.Conns)
	d, err := ParseDelta(d.Append(nil))
	if err == nil {
		err = to.Apply(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &to
}
