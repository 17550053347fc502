//go:build linux

package cluster

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// relay is a server to a client with one mount, and hands each of its calls to another gateway than the last. So what the client knows
// of one call, from its own caches too, meets a gateway that has not seen that call. Writes are made stable, each by itself: what is not
// stable is known to the gateway alone that took it, and its verifier says so.
type relay struct {
	host  *harness.Host
	at    []string
	turn  atomic.Uint32
	calls []atomic.Int64 // by gateway
	tasks sync.WaitGroup
}

// relay starts one on a host of its own.
func (s *stage) relay() *relay {
	s.t.Helper()
	r := &relay{host: s.network.Host(), calls: make([]atomic.Int64, len(s.Members))}
	for _, m := range s.Members {
		r.at = append(r.at, net.JoinHostPort(m.Service.String(), "2049"))
	}
	listener, err := r.host.Listen("tcp", net.JoinHostPort(r.host.Address.String(), "2049"))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.t.Cleanup(func() { stop(); listener.Close(); r.tasks.Wait() })
	r.tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.tasks.Go(func() { r.serve(ctx, conn) })
		}
	})
	return r
}

// serve hands calls on until one of the connections ends; the client connects anew then.
func (r *relay) serve(ctx context.Context, client net.Conn) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	conns := []net.Conn{client}
	defer context.AfterFunc(ctx, func() { client.Close() })()
	var replies sync.WaitGroup
	var mu sync.Mutex // one reply at a time
	for _, at := range r.at {
		conn, err := r.host.Dial(ctx, "tcp", at)
		if err != nil {
			break
		}
		conns = append(conns, conn)
		replies.Go(func() {
			defer client.Close()
			for in := bufio.NewReader(conn); ; {
				reply, err := receive(in)
				if err != nil {
					return
				}
				mu.Lock()
				_, err = client.Write(reply)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	for in := bufio.NewReader(client); len(conns) > len(r.at); {
		call, err := receive(in)
		if err == nil {
			err = makeStable(call)
		}
		if err != nil {
			break
		}
		n := int(r.turn.Add(1)) % len(r.at)
		r.calls[n].Add(1)
		if _, err := conns[1+n].Write(call); err != nil {
			break
		}
	}
	for _, c := range conns {
		c.Close()
	}
	replies.Wait()
}

// receive reads one message, with its record mark.
func receive(in io.Reader) ([]byte, error) {
	message := make([]byte, 4, 1<<10)
	for last := false; !last; {
		var mark [4]byte
		if _, err := io.ReadFull(in, mark[:]); err != nil {
			return nil, err
		}
		size := binary.BigEndian.Uint32(mark[:])
		last, size = size>>31 != 0, size&^(1<<31)
		begun := len(message)
		if begun+int(size) > nfs3.MaxMessage {
			return nil, errors.New("a strange record")
		}
		message = append(message, make([]byte, size)...)
		if _, err := io.ReadFull(in, message[begun:]); err != nil {
			return nil, err
		}
	}
	binary.BigEndian.PutUint32(message, uint32(len(message)-4)|1<<31)
	return message, nil
}

// makeStable turns an unstable WRITE into a stable one.
func makeStable(call []byte) error {
	const prog, proc, body = 4 + 12, 4 + 20, 4 + 24 // offsets behind the record mark
	word := func(at int) int {
		if at+4 > len(call) {
			return 1 << 30
		}
		return int(binary.BigEndian.Uint32(call[at:]))
	}
	if word(prog) != nfs3.ProgNFS || word(proc) != int(nfs3.Write) {
		return nil
	}
	at := body
	for range 2 { // credentials and verifier
		at += 8 + (word(at+4)+3)&^3
	}
	at += 4 + (word(at)+3)&^3 // the handle
	at += 12                  // offset and count
	if at+4 > len(call) {
		return errors.New("a strange WRITE")
	}
	binary.BigEndian.PutUint32(call[at:], nfs3.FileSync)
	return nil
}

// TestEveryOtherGateway runs the suite of POSIX in a mount of which every call goes to another gateway than the last.
func TestEveryOtherGateway(t *testing.T) {
	s := setStage(t, 0, harness.ClusterConfig{})
	flags, skip := []string{"--async"}, "^list/five thousand" // which takes half of the time
	if harness.Long() {
		flags, skip = nil, "^$"
	}
	s.volume("exclusive", append(flags, "--exclusive")...) // where gateways answer from leases
	if harness.Long() {
		s.volume("plain")
	}
	for _, volume := range s.volumes {
		r := s.relay()
		guest := s.network.Boot(harness.GuestConfig{Name: volume})
		dir := guest.Mount(harness.Mount{Server: r.host.Address.String(), Export: "/" + volume, Version: "3", Port: 2049})
		for _, words := range [][]string{
			{"check", "-proto", "nfs3", "-skip", skip},
			{"fsx", "-runs", "3", "-ops", "400"},
			{"stress", "-processes", "4", "-ops", "100"},
		} {
			s.posix(guest, dir, words...)
		}
		for i := range r.calls {
			if r.calls[i].Load() == 0 {
				t.Errorf("%s: no call went to %s", volume, s.Members[i].Name)
			}
		}
		t.Logf("%s: calls by gateway: %d, %d, %d", volume, r.calls[0].Load(), r.calls[1].Load(), r.calls[2].Load())
	}
}
