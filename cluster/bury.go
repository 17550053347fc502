package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"causeway/cluster/database"
	"causeway/cluster/engine"
)

// Remains is what a gateway leaves behind when its process dies: a membership that lasts until its lease ends. Who has it and
// knows that the process is dead can end that at once by [Bury].
type Remains struct {
	Node      string   `json:"node"`
	Lease     int64    `json:"lease"`     // 0: it is no member
	Endpoints []string `json:"endpoints"` // of the database, those of the dead process's own server too

	// PEM files by which the database knows the gateway; all empty: it asks for none. With External servers Config.Leave gets
	// them empty: whoever set ExternalTLS knows where they are.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	Authority   string `json:"authority,omitempty"`
}

// leave says what is left of this gateway from now on.
func (c *Cluster) leave() {
	lease := c.remains.Load()
	if c.cfg.Leave == nil || lease == 0 {
		return
	}
	r := Remains{Node: c.cfg.Node, Lease: lease, Endpoints: slices.Clone(c.voters())}
	if c.identity != nil && len(c.cfg.External) == 0 {
		r.Certificate, r.Key, r.Authority = c.identity.PairFile(), c.identity.PairFile(), c.identity.AuthorityFile()
	}
	c.cfg.Leave(r)
}

// TLS reads the files. Without any it returns nil.
func (r *Remains) TLS() (*tls.Config, error) {
	if r.Certificate == "" && r.Authority == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(r.Certificate, r.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if r.Authority != "" {
		data, err := os.ReadFile(r.Authority)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s: no certificate", r.Authority)
		}
	}
	return config, nil
}

// Every so often a burial is tried again at each server, for so long each time: a server that does not know yet that the leader
// is dead sends requests to it, and they are lost.
const (
	buryAgain = 40 * time.Millisecond
	buryFor   = 600 * time.Millisecond
)

// Bury ends the membership of a gateway whose process is dead, so that others need not wait for its lease to end. Whoever calls
// it knows that the process is dead: burying a live one lets two gateways serve a volume. It tries until it succeeds or ctx ends.
func Bury(ctx context.Context, r Remains, log *slog.Logger) error {
	if r.Lease == 0 {
		return nil
	}
	config, err := r.TLS()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for _, endpoint := range r.Endpoints { // each alone: a client of several waits for one that is dead
		client, err := engine.Dial([]string{endpoint}, config, log)
		if err != nil {
			return err
		}
		tasks.Go(func() {
			defer client.Close()
			if err := insistOnEnd(ctx, database.New(client), r.Lease); err == nil {
				cancel(errBuried)
			} else {
				log.Debug("the lease cannot be ended there", "server", endpoint, "err", err)
			}
		})
	}
	tasks.Wait()
	if errors.Is(context.Cause(ctx), errBuried) {
		return nil
	}
	return fmt.Errorf("bury %s: no server of the configuration database did it: %w", r.Node, context.Cause(ctx))
}

var errBuried = errors.New("the membership has ended")

// insistOnEnd revokes a lease, with attempts that overlap.
func insistOnEnd(ctx context.Context, db *database.DB, lease int64) error {
	done := make(chan struct{})
	var once sync.Once
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		tasks.Go(func() {
			call, cancel := context.WithTimeout(ctx, buryFor)
			defer cancel()
			if db.Revoke(call, lease) == nil {
				once.Do(func() { close(done) })
			}
		})
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(buryAgain):
		}
	}
}
