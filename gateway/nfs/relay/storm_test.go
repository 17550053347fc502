package relay

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// TestStorm makes and removes files through both gateways while their connections break and the volume moves: each change is done
// once, and answered.
func TestStorm(t *testing.T) {
	s := newSite(t, patience)
	over := make(chan struct{})
	var clients, weather sync.WaitGroup
	weather.Go(func() {
		seeded := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(seeded.IntN(4000)) * time.Microsecond):
			}
			switch seeded.IntN(4) {
			case 0:
				s.move([]string{"g1", "g2", ""}[seeded.IntN(3)])
			case 1:
				s.move([]string{"g1", "g2"}[seeded.IntN(2)])
			default:
				s.g[seeded.IntN(2)].cut()
			}
		}
	})
	for i := range 6 {
		c := s.g[i%2].dial("127.0.0.1")
		clients.Go(func() {
			for round := range uint32(40) {
				name, xid := fmt.Sprintf("f%d-%d", i, round), uint32(i)<<16|round<<2
				steps := []step{
					{8, &nfsv3.Create3args{Where: at(s.root(), name), How: &nfsv3.Createhow3_GUARDED{ObjAttributes: mode(0o600)}}},
					{14, &nfsv3.Rename3args{From: at(s.root(), name), To: at(s.root(), name+"x")}},
					{12, &nfsv3.Remove3args{Object: at(s.root(), name+"x")}},
				}
				for j, st := range steps {
					c.send(xid+uint32(j), nfs, 3, st.proc, encoded(t, st.args))
					if got, err := c.receive(patience); err != nil || status(got) != 0 {
						t.Errorf("%s, procedure %d: %s, %v", name, st.proc, hex.EncodeToString(got), err)
						return
					}
				}
			}
		})
	}
	clients.Wait()
	close(over)
	weather.Wait()
	if n := s.g[0].peers.Stats().Retried + s.g[1].peers.Stats().Retried; n == 0 {
		t.Error("nothing happened")
	}
	s.quiet()
}

// TestOwnVolumesCostNothing holds that looking for the owner does not allocate.
func TestOwnVolumesCostNothing(t *testing.T) {
	s := newSite(t, patience)
	h, err := New(Config{
		Local:   rpc.HandlerFunc(func(context.Context, *rpc.Call) rpc.Verdict { return rpc.Done }),
		Catalog: s.g[0].catalog, Owner: s.g[0].ownerOf, Peers: s.g[0].peers,
	})
	s.must(err)
	_, call := sampleCall(s)
	lock := *call
	lock.Prog, lock.Vers, lock.Proc = nlm, 4, nlmLock
	lock.Args = xdr.NewDecoder(lockArgs(nlmLock, s.root(), "host", 1))
	for _, c := range []*rpc.Call{call, &lock} {
		c.NoWait = true
		if n := testing.AllocsPerRun(100, func() {
			if h.Handle(t.Context(), c) != rpc.Done {
				t.Fatal("not ours")
			}
		}); n != 0 {
			t.Errorf("program %d: %v allocations", c.Prog, n)
		}
	}
}
