package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	"causeway/cluster/record"
)

const locateEvery = 100 * time.Millisecond

// followServers keeps the addresses of the voting servers, for this process and for the next one. It waits for nothing else: who
// knows too few servers falls with those that it knows, and cannot ask any more.
func (c *Cluster) followServers(ctx context.Context) {
	if len(c.cfg.External) > 0 {
		return
	}
	ticker := time.NewTicker(locateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.attempt(ctx, "follow the configuration database's servers", c.locate)
	}
}

// locate asks this gateway's own server, which knows without asking others, else the others.
func (c *Cluster) locate(ctx context.Context) error {
	if s := c.server.Load(); s != nil {
		if c.located == 0 {
			if err := c.moveServer(ctx, s.ID()); err != nil {
				return err
			}
			c.located = c.cfg.Clock()
		}
		return c.useServers(s.Voters())
	}
	every := 5 * time.Second
	if len(c.voters()) < servers(c.Table().Len(record.KindMember)) {
		every = 0 // soon there are more
	}
	if c.located != 0 && c.cfg.Clock()-c.located < every {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	list, err := c.client.MemberList(ctx)
	if err != nil {
		return err
	}
	c.located = c.cfg.Clock()
	var now []string
	for _, m := range list.Members {
		if !m.IsLearner && len(m.ClientURLs) > 0 {
			now = append(now, m.ClientURLs[0])
		}
	}
	return c.useServers(now)
}

// useServers makes these the servers that are asked: this gateway's own one alone where there is one, since a connection to a
// machine that is lost says nothing for seconds, and a gateway whose own server has no leader is cut off itself.
func (c *Cluster) useServers(now []string) error {
	slices.Sort(now)
	if len(now) == 0 {
		return nil
	}
	ask := now
	if s := c.server.Load(); s != nil && slices.Contains(now, s.Endpoint()) {
		ask = []string{s.Endpoint()}
	}
	if !slices.Equal(c.client.Endpoints(), ask) {
		c.client.SetEndpoints(ask...)
		c.copy.Anew()
	}
	if slices.Equal(c.voters(), now) {
		return nil
	}
	c.known.Store(&now)
	c.log.Info("the configuration database's servers changed", "servers", strings.Join(now, " "))
	c.leave()
	return c.note(func(w *whereabouts) { w.Endpoints = now })
}

// voters returns where the database's servers are, as far as this gateway knows.
func (c *Cluster) voters() []string {
	if known := c.known.Load(); known != nil {
		return *known
	}
	return c.client.Endpoints()
}
