package address

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestKilledGatewayIsSilent: when a guarded process is killed, its address is gone before anybody is refused, and connections stay as
// they are until the next holder wakes their clients.
func TestKilledGatewayIsSilent(t *testing.T) { both(t, testKilledGatewayIsSilent) }

func testKilledGatewayIsSilent(t *testing.T, addr netip.Addr) {
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
	conns := g1.ask(order{Do: "conns"}).Conns
	g1.signal(syscall.SIGKILL)
	eventually(t, "the address leaves", func() bool { here, _ := g1.has(addr); return !here })
	_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the client hears %d bytes, %v", n, err)
	}
	// The client has just said that something does not fit, as it does after each needless repetition. It says so again only for data.
	if r := g2.ask(order{Do: "tickle", Conns: conns, Tickler: Tickler{Rounds: 2, Pause: time.Millisecond}}); r.Err != "" || r.Sent != 2 {
		t.Fatalf("%+v", r)
	}
	g2.must("take over", addr)
	if r := g2.ask(order{Do: "tickle", Conns: conns, Tickler: Tickler{Rounds: 1}}); r.Err != "" || r.Sent != 1 {
		t.Fatalf("%+v", r)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // before it asks by itself
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the client hears %d bytes, %v", n, err)
	}
	if name := client.whoAnswers(addr); name != "g2" {
		t.Fatalf("%q answers", name)
	}
}

// TestOldConnectionsAreBuried: what a kernel has left of connections from its last time with an address does not keep their clients, who
// heard nothing of the end, from being woken.
func TestOldConnectionsAreBuried(t *testing.T) { both(t, testOldConnectionsAreBuried) }

// testOldConnectionsAreBuried tries again where the kernel repeated the dead process's FIN just when the machine was back: the client is
// told by that then, and nothing is shown.
func testOldConnectionsAreBuried(t *testing.T, addr netip.Addr) {
	for range 4 {
		if err := buryOldConnection(t, addr); !errors.Is(err, io.EOF) {
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client hears %v", err)
			}
			return
		}
	}
	t.Error("the client never hears a reset")
}

// buryOldConnection returns what a client hears whose gateway died unheard, when another one has its address.
func buryOldConnection(t *testing.T, addr netip.Addr) error {
	hosts := newNetwork(t, 2)
	g1, client := hosts[0].gatewayWith("g1", time.Second, guardEnv+"=1"), hosts[1]
	g1.must("hold", addr)
	conn, err := client.dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	if name := askName(conn); name != "g1" {
		t.Fatalf("%q answers", name)
	}
	conns := g1.ask(order{Do: "conns"}).Conns
	hosts[0].unplug()
	g1.signal(syscall.SIGKILL) // the kernel says that the connection ends, and nobody hears it
	_, _ = g1.process.Wait()
	eventually(t, "the address expires", func() bool { here, _ := g1.has(addr); return !here })
	time.Sleep(2 * time.Second) // the kernel repeats it less and less often
	hosts[0].plug()
	again := hosts[0].gateway("again")
	again.must("take over", addr)
	if r := again.ask(order{Do: "tickle", Conns: conns}); r.Err != "" || r.Sent == 0 {
		t.Fatalf("%+v", r)
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second)) // by itself, the client would wait for much longer
	_, err = conn.Read(make([]byte, 1))
	return err
}

// TestLeavesWithTheLease: an address that is not to be prolonged leaves by itself, although its process lives, and is back when it may.
func TestLeavesWithTheLease(t *testing.T) { both(t, testLeavesWithTheLease) }

func testLeavesWithTheLease(t *testing.T, addr netip.Addr) {
	hosts := newNetwork(t, 1)
	g := hosts[0].gatewayWith("g1", time.Second)
	g.must("hold", addr)
	g.ask(order{Do: "last call"})
	eventually(t, "the address expires", func() bool { here, _ := g.has(addr); return !here })
	g.ask(order{Do: "go on"})
	eventually(t, "it is back", func() bool {
		if g.saw(Lapsed, addr) { // a busy machine has stopped the process, when nobody left it the address any more
			g.must("hold", addr)
		}
		here, _ := g.has(addr)
		return here
	})
	g.ask(order{Do: "last call"})
	g.must("drop", addr)
	if r := g.ask(order{Do: "take over", Addr: addr}); r.Err == "" {
		t.Error("an address was taken that would outlive the lease")
	}
}
