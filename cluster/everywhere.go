package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// seenWithin bounds how long a gateway is waited for that does not answer: by then it has lost its lease, or answers.
const seenWithin = 5 * time.Second

// Everywhere returns when every gateway shows its clients what this gateway's copy says now, or is no member any more. It fails,
// naming those who did not say so, when that takes longer than a lease.
func (c *Cluster) Everywhere(ctx context.Context) error {
	return c.everywhereAt(ctx, c.Table().Revision())
}

func (c *Cluster) everywhereAt(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	var late error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, item := range c.Table().Items(record.KindMember) {
		all.Go(func() {
			if err := c.awaitMember(ctx, item, revision); err != nil {
				mu.Lock()
				defer mu.Unlock()
				late = errors.Join(late, fmt.Errorf("gateway %s does not show the change yet: %w", item.Key.Name, err))
			}
		})
	}
	all.Wait()
	return late
}

// awaitMember asks one gateway until it has seen a revision, or is gone.
func (c *Cluster) awaitMember(ctx context.Context, member *record.Item, revision int64) error {
	m := member.Value.(*record.Member)
	for {
		var err error
		switch {
		case m.Node == c.cfg.Node:
			err = c.shown(ctx, revision)
		case m.Peer == "" || c.identity == nil:
			return nil
		default:
			err = c.askSeen(ctx, m.Peer, revision)
		}
		if err == nil {
			return nil
		}
		if _, create := c.Table().Member(m.Node); create != member.Create {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		sleep.For(ctx, 20*time.Millisecond)
	}
}

// shown waits until this gateway shows a revision.
func (c *Cluster) shown(ctx context.Context, revision int64) error {
	for c.Table().Revision() < revision || c.identity != nil && c.trusted.Load() < c.Table().Mod(record.Sole(record.KindAuthority)) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		sleep.For(ctx, time.Millisecond)
	}
	if c.cfg.Shown == nil {
		return nil
	}
	return c.cfg.Shown(ctx, revision)
}

// askSeen asks another gateway, and waits for its answer.
func (c *Cluster) askSeen(ctx context.Context, peer string, revision int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/seen?revision=%d", peer, revision), nil)
	if err != nil {
		return err
	}
	resp, text, err := c.exchange(req, maxLetter)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}

// seen answers another gateway of the cluster when this one has seen a revision. Strangers are told nothing.
func (c *Cluster) seen(w http.ResponseWriter, r *http.Request) {
	if !c.knows(r.TLS) {
		http.Error(w, "this is for gateways of the cluster", http.StatusForbidden)
		return
	}
	revision, err := strconv.ParseInt(r.URL.Query().Get("revision"), 10, 64)
	if err != nil {
		http.Error(w, "no revision", http.StatusBadRequest)
		return
	}
	if err := c.shown(r.Context(), revision); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// knows reports whether who calls showed a certificate of the cluster for a node that was not removed.
func (c *Cluster) knows(s *tls.ConnectionState) bool {
	return s != nil && len(s.VerifiedChains) > 0 && c.Table().Node(s.PeerCertificates[0].Subject.CommonName) != nil
}
