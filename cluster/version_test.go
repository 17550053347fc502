package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"causeway/cluster/pki"
	"causeway/cluster/record"
)

// TestVersions lets a gateway of a neighbouring version in, and nobody whom the others would not understand, or who would not
// understand them: not at the door, and not on a state directory that belongs to the cluster already.
func TestVersions(t *testing.T) {
	w := newWorld(t)
	a := w.first("a")
	text, err := a.CreateToken(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token, err := pki.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := request.DER("b", []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[uint32]bool{Protocol - 1: false, Protocol: true, Protocol + 1: true, Protocol + 2: false} {
		_, err := a.judge(t.Context(), application{Version: version, Token: token.ID, Secret: token.Secret[:], Node: "b", Request: der})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "speaks protocol version") {
			t.Errorf("version %d: %v", version, err)
		}
	}

	item := a.Table().Get(record.Sole(record.KindCluster))
	newer := *item.Value.(*record.Cluster)
	newer.MinVersion = Protocol + 1
	if ok, err := a.Transact(t.Context(), record.Update(item, &newer)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	a.Close()
	cfg := a.cfg
	cfg.Bootstrap, cfg.Door, cfg.Hooks = false, nil, w.gateway("nobody")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if c, err := Start(ctx, cfg); err == nil {
		c.Close()
		t.Error("a gateway runs in a cluster that needs newer ones")
	} else if !strings.Contains(err.Error(), "the cluster needs protocol version 2, this gateway speaks 1") {
		t.Error(err)
	}
}
