package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"causeway/cluster/database"
	"causeway/cluster/engine"
	"causeway/cluster/pki"
)

// leaseFile holds the lease of the running gateway, so that what supervises it can end it.
const leaseFile = "lease"

// noteLease writes the lease down. A lost file costs time only: the lease ends by itself.
func (c *Cluster) noteLease(id int64) {
	if err := os.WriteFile(c.path(leaseFile), []byte(strconv.FormatInt(id, 10)), 0o600); err != nil {
		c.log.Warn("cannot note the lease", "err", err)
	}
}

// Bury ends the membership of a gateway whose process has died, so that others need not wait for its lease to end. The caller
// supervised the process and knows that it is dead: burying a live one lets two gateways serve a volume. Of cfg it needs
// Dir, Log and what concerns External.
func Bury(ctx context.Context, cfg Config) error {
	c := &Cluster{cfg: cfg}
	data, err := os.ReadFile(c.path(leaseFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil // it was no member
	}
	if err != nil {
		return err
	}
	lease, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path(leaseFile), err)
	}
	endpoints, tls := cfg.External, cfg.ExternalTLS
	if len(endpoints) == 0 {
		identity, err := pki.Open(c.path(identityDir))
		if err != nil {
			return err
		}
		where, err := c.recall()
		if err != nil {
			return err
		}
		endpoints, tls = where.Endpoints, identity.Client()
	}
	client, err := engine.Dial(endpoints, tls, cfg.Log)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := database.New(client).Revoke(ctx, lease); err != nil {
		return err
	}
	return os.Remove(c.path(leaseFile))
}
