package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/state"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/transfer"
	"causeway/internal/gate"
)

// newVolumes returns volumes without a server around them.
func newVolumes(t *testing.T) *volumes {
	t.Helper()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	engine := access.New(access.Config{})
	moves := transfer.New(transfer.Config{Grants: engine})
	v := &volumes{state: dir, stateSub: t.TempDir(), catalog: &gateway.Catalog{}, access: engine, transfer: moves,
		log: slog.New(slog.DiscardHandler), gate: &gate.Gate{}}
	v.ended, v.end = context.WithCancel(t.Context())
	t.Cleanup(func() {
		if err := errors.Join(v.close(), moves.Close(), dir.Close()); err != nil {
			t.Error(err)
		}
	})
	return v
}

func mustApply(t *testing.T, v *volumes, specs ...config.Volume) {
	t.Helper()
	if _, err := v.apply(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
}

// TestVolumeLeavesAfterItsRequests takes a volume away under a request that uses it.
func TestVolumeLeavesAfterItsRequests(t *testing.T) {
	v, spec := newVolumes(t), config.Volume{Name: "data", Path: share(t, "data")}
	mustApply(t, v, spec)
	store := v.list()[0].store
	request := v.gate.Enter()
	mustApply(t, v)
	if v.catalog.ByName("data") != nil {
		t.Error("it can still be found")
	}
	if _, err := store.Stat(t.Context(), store.Root()); err != nil {
		t.Errorf("closed under a request: %v", err)
	}
	if _, err := v.apply(t.Context(), []config.Volume{spec}); err == nil || !strings.Contains(err.Error(), "not closed yet") {
		t.Errorf("served again while it is closed: %v", err)
	}
	request.Leave()
	v.closers.Wait()
	if err := store.Close(); causeway.CodeOf(err) != causeway.ErrClosed {
		t.Errorf("it is still open: %v", err)
	}
	mustApply(t, v, spec)
}

// TestCloseDoesNotWaitForever ends the gateway under a request that is stuck.
func TestCloseDoesNotWaitForever(t *testing.T) {
	v := newVolumes(t)
	mustApply(t, v, config.Volume{Name: "data", Path: share(t, "data")})
	defer v.gate.Enter().Leave()
	mustApply(t, v)
	closed := make(chan error, 1)
	go func() { closed <- v.close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it waits for a request")
	}
}

// TestMovedVolume renames a directory that is served.
func TestMovedVolume(t *testing.T) {
	v, dir := newVolumes(t), share(t, "data")
	mustApply(t, v, config.Volume{Name: "data", Path: dir})
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.apply(t.Context(), []config.Volume{{Name: "data", Path: dir + "2"}}); err == nil {
		t.Error("one directory is open twice")
	}
	if s := v.list(); len(s) != 1 || s[0].spec.Path != dir || v.catalog.ByName("data") == nil {
		t.Error("what was served is not any more")
	}
}
