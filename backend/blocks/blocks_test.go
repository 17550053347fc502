package blocks_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/blocks"
	"causeway/backend/blocks/device"
)

var revisions atomic.Uint64

// own opens a volume and owns it in the next epoch.
func own(t testing.TB, d device.Storage, logBlocks uint64) *blocks.Store {
	t.Helper()
	s, err := blocks.Open(context.Background(), blocks.Config{Device: d, Volume: 1, Node: "a", LogBlocks: logBlocks})
	if err == nil {
		err = s.Own(context.Background(), causeway.Epoch{Revision: revisions.Add(1)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConformance: the volume is what any other is, also after another gateway took it over without being told anything, and
// when the journal is so short that pictures are taken all the time.
func TestConformance(t *testing.T) {
	for name, logBlocks := range map[string]uint64{"long journal": 4096, "short journal": 400} {
		t.Run(name, func(t *testing.T) {
			devices := map[backend.Store]*device.Device{}
			backendtest.Run(t, backendtest.Options{
				New: func(t testing.TB) backend.Store {
					d := device.New(4096, 1<<17)
					s := own(t, d, logBlocks)
					devices[s] = d
					return s
				},
				Reopen: func(t testing.TB, s backend.Store) backend.Store {
					next := own(t, devices[s], 0)
					if err := next.Check(); err != nil {
						t.Error(err)
					}
					if _, err := s.Stat(context.Background(), s.Root()); err != nil {
						t.Error("the last owner knows by itself:", err)
					}
					if err := s.Persist(context.Background()); err == nil {
						o := s.Root()
						if err := s.SetStat(context.Background(), o, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o700}); err != nil {
							t.Error(err)
						}
						if err := s.Persist(context.Background()); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
							t.Error("the last owner still writes the journal:", err)
						}
					}
					devices[next] = devices[s]
					return next
				},
				Caps: backendtest.Full,
			})
		})
	}
}

// TestOverTCP: the device may be elsewhere.
func TestOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := device.NewServer(device.New(4096, 4096))
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	client := device.NewClient(l.Addr().String())
	defer func() { _ = client.Close(); _ = l.Close(); server.Close(); <-done }()
	s, ctx := own(t, client, 0), t.Context()
	id, _, err := s.Create(ctx, s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(ctx, id, causeway.IOReadWrite, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.WriteAt(ctx, []byte("far away"), 5000); err != nil {
		t.Fatal(err)
	}
	if err := o.Sync(ctx, true); err != nil {
		t.Fatal(err)
	}
	next := own(t, client, 0)
	if o, err = next.Open(ctx, id, causeway.IORead, nil); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 20)
	if n, err := o.ReadAt(ctx, p, 4998); err != nil || string(p[:n]) != "\x00\x00far away" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	if _, _, err := s.Create(ctx, s.Root(), "late", &backend.CreateSpec{Type: causeway.TypeRegular}); err != nil {
		t.Fatal(err)
	}
	if err := s.Persist(ctx); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Fatal("an earlier owner writes:", err)
	}
}
