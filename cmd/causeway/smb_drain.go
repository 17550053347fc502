package main

import (
	"context"
	"sync"
	"time"

	"causeway/cluster/record"
)

// Bounds of what SMB clients are waited for.
const (
	smbLeavesWithin  = 20 * time.Second       // until those that have files open are cut off a gateway that drains
	smbReturnsWithin = 2 * time.Second        // until a gateway that stops does so without what they have not written back
	smbLooksEvery    = 200 * time.Millisecond // whether it drains
)

// smbDrain has SMB clients leave while this gateway drains: it does not listen, so that those who try the servers of a share one by one go
// on to the next.
type smbDrain struct {
	*site
	cancel context.CancelFunc // of the drain that runs; nil: none does
	done   sync.WaitGroup
}

// followDrain does what the records say, until the gateway stops. Then clients write back what they cache before their address goes elsewhere.
func (j *joining) followDrain() {
	if j.smb.server == nil {
		return
	}
	d := &smbDrain{site: j.site}
	ctx, cancel := context.WithCancel(context.Background())
	j.serving.Go(func() {
		tick := time.NewTicker(smbLooksEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.look()
			case <-ctx.Done():
				d.end()
				return
			}
		}
	})
	j.teardown.add("SMB clients", func(stop context.Context) error {
		cancel()
		short, cancel := context.WithTimeout(stop, smbReturnsWithin)
		defer cancel()
		j.smb.server.Recall(short)
		return nil
	})
}

// look begins or ends a drain. Where clients could go nowhere else, they stay.
func (d *smbDrain) look() {
	c := d.member.Cluster()
	if c == nil {
		return
	}
	switch drains := smbLeaves(c.Table(), d.self); {
	case drains && d.cancel == nil:
		d.log.Info("SMB clients are sent elsewhere", "node", d.self)
		d.muteSMB(true)
		ctx, cancel := context.WithTimeout(context.Background(), smbLeavesWithin)
		d.cancel = cancel
		d.done.Go(func() {
			d.smb.server.Drain(ctx)
			if ctx.Err() != context.Canceled {
				d.log.Info("SMB clients have left", "node", d.self)
			}
		})
	case !drains && d.cancel != nil:
		d.end()
		d.smb.server.Return()
		d.muteSMB(false)
		d.log.Info("SMB clients are welcome again", "node", d.self)
	}
}

// end ends the drain that runs, where it is.
func (d *smbDrain) end() {
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
		d.done.Wait()
	}
}

// smbLeaves reports whether a node drains, and others that do not answer SMB for all that it answers for.
func smbLeaves(t *record.Table, self string) bool {
	n := t.Node(self)
	if n == nil || n.State != record.Draining || !smbElsewhere(t, self, nil) {
		return false
	}
	for item := range t.All(record.KindVolume) {
		v := item.Value.(*record.Volume)
		if v.DomainPolicy == record.Strict && record.SharesDomain(n, v) && !v.Share().Off && !smbElsewhere(t, self, v) {
			return false
		}
	}
	return true
}

// smbElsewhere reports whether another node that does not drain answers SMB, for a volume if it is not nil.
func smbElsewhere(t *record.Table, self string, v *record.Volume) bool {
	for item := range t.All(record.KindNode) {
		n := item.Value.(*record.Node)
		m, _ := t.Member(n.Name)
		if n.Name != self && n.State == record.Active && m != nil && m.Services["smb"] != 0 && (v == nil || record.SharesDomain(n, v)) {
			return true
		}
	}
	return false
}

// muteSMB stops to listen for SMB at all service addresses, or begins again.
func (s *site) muteSMB(mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.smbMute == mute {
		return
	}
	s.smbMute = mute
	for addr, p := range s.open {
		if !mute {
			s.listenSMB(p, s.life(), addr)
		} else if p.smb != nil {
			p.smb.Close()
			p.smb = nil
		}
	}
}
