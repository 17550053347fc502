package address

import (
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These benchmarks measure moves between real network stacks: go test -run xxx -bench Move -benchtime 20x. Their ns/op includes making
// the network; the metrics do not.

func eachFamily(b *testing.B, measure func(b *testing.B, addr netip.Addr) time.Duration, what string) {
	for name, addr := range map[string]netip.Addr{"IPv4": service4, "IPv6": service6} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for range b.N {
				took = append(took, measure(b, addr))
			}
			slices.Sort(took)
			for p, name := range map[int]string{50: "p50", 90: "p90", 100: "max"} {
				b.ReportMetric(float64(took[(len(took)-1)*p/100].Microseconds())/1000, what+"-ms-"+name)
			}
		})
	}
}

// BenchmarkMoveHold: from the order to hold until a client that knew nothing has an answer; the probe is part of it.
func BenchmarkMoveHold(b *testing.B) {
	eachFamily(b, func(b *testing.B, addr netip.Addr) time.Duration { return measureHold(b, addr, "hold") }, "hold")
}

// BenchmarkMoveTakeOver: the same without a probe.
func BenchmarkMoveTakeOver(b *testing.B) {
	eachFamily(b, func(b *testing.B, addr netip.Addr) time.Duration { return measureHold(b, addr, "take over") }, "takeover")
}

func measureHold(b *testing.B, addr netip.Addr, do string) time.Duration {
	hosts := newNetwork(b, 2)
	g, client := hosts[0].gateway("g1"), hosts[1]
	begun := time.Now()
	g.must(do, addr)
	if name := client.whoAnswers(addr); name != "g1" {
		b.Fatalf("%q answers", name)
	}
	return time.Since(begun)
}

// BenchmarkMoveStop: from SIGSTOP until the kernel has dropped the address.
func BenchmarkMoveStop(b *testing.B) {
	eachFamily(b, func(b *testing.B, addr netip.Addr) time.Duration {
		hosts := newNetwork(b, 1)
		g := hosts[0].gateway("g1")
		var routes *netlink
		var err error
		g.do(func() { routes, err = dialNetlink(unix.NETLINK_ROUTE) })
		if err != nil {
			b.Fatal(err)
		}
		defer routes.close()
		g.must("hold", addr)
		begun := time.Now()
		g.signal(syscall.SIGSTOP)
		for {
			all, err := routes.addresses(family(addr))
			if err != nil {
				b.Fatal(err)
			}
			if !slices.ContainsFunc(all, func(a ifaddr) bool { return a.prefix.Addr() == addr }) {
				return time.Since(begun)
			}
			time.Sleep(time.Millisecond)
		}
	}, "stop-to-loss")
}

// BenchmarkMoveReconnect: from the order to take over until a quiet client of a dead machine is connected again and has an answer.
func BenchmarkMoveReconnect(b *testing.B) {
	eachFamily(b, func(b *testing.B, addr netip.Addr) time.Duration {
		hosts := newNetwork(b, 3)
		g1, g2, client := hosts[0].gateway("g1"), hosts[1].gateway("g2"), hosts[2]
		g1.must("hold", addr)
		conn, err := client.dial(addr)
		if err != nil || askName(conn) != "g1" {
			b.Fatal(err)
		}
		conns := g1.ask(order{Do: "conns"}).Conns
		g1.unplug()
		back := make(chan time.Time)
		go func() {
			defer close(back)
			_ = conn.SetReadDeadline(time.Time{})
			_, _ = conn.Read(make([]byte, 1))
			var again net.Conn
			if again, err = client.dial(addr); err == nil && askName(again) == "g2" {
				back <- time.Now()
			}
		}()
		begun := time.Now()
		g2.must("take over", addr)
		g2.ask(order{Do: "tickle", Conns: conns, Tickler: Tickler{Rounds: 1}})
		at, ok := <-back
		if !ok {
			b.Fatal("the client did not come back", err)
		}
		return at.Sub(begun)
	}, "reconnect")
}
