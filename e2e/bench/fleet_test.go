//go:build linux

package main

import (
	"os"
	"testing"
	"time"

	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// TestEveryWorkloadOnEveryServer runs each kind once, small, on all servers that can be started here: it shows that the
// generator and its checks work, on servers that have nothing in common.
func TestEveryWorkloadOnEveryServer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	ctx := t.Context()
	names := []string{"gonfs", "causeway", "ganesha"}
	p, err := build(ctx, names, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	sizes := workload.Sizes{Data: 4 << 20, Write: 2 << 20, Over: 2 << 20, New: 2 << 20, Names: 20, Many: 2000}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			base := t.TempDir()
			cfg := peer.Config{Dir: base + "/export", Work: base + "/work"}
			tree := &workload.Tree{Dir: cfg.Dir, Sizes: sizes}
			if err := os.Mkdir(cfg.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := tree.Prepare(); err != nil {
				t.Fatal(err)
			}
			server, err := k.start(ctx, p, cfg)
			if err != nil && k.name == "ganesha" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer server.Stop()
			for _, kind := range workload.Kinds {
				w := workload.Workload{Kind: kind, Shape: workload.Shape{Connections: 2, Outstanding: 3, Count: 50}}
				m := measurement{server: server, tree: tree, workload: w, duration: 50 * time.Millisecond, verify: true, seed: 1}
				s, err := m.measure()
				if err != nil {
					t.Errorf("%s: %v", w.FullName(), err)
					continue
				}
				if s.Units <= 0 || s.Calls <= 0 || s.CPU <= 0 || s.P50 <= 0 || s.P99 < s.P50 || s.Peak <= 0 {
					t.Errorf("%s: %+v", w.FullName(), s)
				}
			}
		})
	}
}
