package cluster

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestRenew: a certificate is replaced when half of its time is over, and the gateway serves on.
func TestRenew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config("a")
	cfg.Bootstrap = true
	back := atomic.Int64{}
	back.Store(int64(16 * 24 * time.Hour))
	cfg.Now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
	a := w.start(cfg)
	a.createVolumes(2)
	eventually(t, "volumes are served", func() bool { return served(2, a) })
	first := a.Identity().Certificate()
	if left := time.Until(first.NotAfter); left > 15*24*time.Hour {
		t.Fatalf("a certificate of sixteen days ago lasts for %v", left)
	}
	back.Store(0)
	eventually(t, "there is a new certificate", func() bool { return a.Identity().Certificate().SerialNumber.Cmp(first.SerialNumber) != 0 })
	if now := a.Identity().Certificate(); !now.NotAfter.After(first.NotAfter) {
		t.Errorf("it ends at %v, the old one at %v", now.NotAfter, first.NotAfter)
	}
	w.join(a, "b")
}
