// Package export decides whether a request may touch a volume at all: which export rule its client has, from which port it
// must come, and as whom it acts. It decides nothing about objects: rights are access's and transfer's.
//
// What a client without a rule learns is only that it may not: the answer is the same for every handle of the volume.
package export

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
)

// GroupLookup finds the groups that the server knows for a user, in place of the at most 16 that AUTH_SYS carries.
type GroupLookup interface {
	// Groups returns all groups of uid; the slice is shared and not modified. With noWait it fails with ErrWouldBlock if it
	// would have to wait. Any other error means that the user is not known: the client's claim counts.
	Groups(uid uint32, noWait bool) ([]uint32, error)
}

// Guard admits calls to volumes.
type Guard struct {
	Catalog *gateway.Catalog
	Groups  GroupLookup // nil: the groups that the client claims
}

// Admit parses the handle wire, finds the rule for the call's client and fills c.Caller: credentials squashed, client,
// read-only, no-wait. It fails with ErrBadHandle, ErrStale (volume not served), ErrAccess (no rule for the client, or an
// unprivileged port where the rule wants a privileged one) and, with NoWait, ErrWouldBlock (groups not known yet).
func (g *Guard) Admit(c *rpc.Call, wire []byte) (causeway.Handle, *causeway.Volume, *causeway.ExportRule, error) {
	h, v, err := fh.Parse(wire, g.Catalog)
	if err != nil {
		return causeway.Handle{}, nil, nil, err
	}
	rule, err := g.AdmitVolume(c, v)
	if err != nil {
		return causeway.Handle{}, nil, nil, err
	}
	return h, v, rule, nil
}

// AdmitVolume is Admit for a volume that was found by its name.
func (g *Guard) AdmitVolume(c *rpc.Call, v *causeway.Volume) (*causeway.ExportRule, error) {
	rule := v.Rule(c.Remote.Addr())
	if rule == nil || rule.Secure && c.Remote.Port() >= reservedPorts {
		return nil, causeway.ErrAccess
	}
	if err := g.lookUp(c, rule); err != nil {
		return nil, err
	}
	c.Caller = gateway.Caller{
		Cred:     c.Cred,
		Client:   c.Remote.Addr().Unmap(),
		ReadOnly: rule.ReadOnly || v.ReadOnly,
		NoWait:   c.NoWait,
		Op:       c.Op,
		Life:     c.Life,
	}
	if c.MayLater {
		c.Caller.Later = &c.Later
	}
	if c.Flavor == rpc.AuthNone {
		rule.Anonymous(&c.Caller.Cred)
	} else {
		rule.Apply(&c.Caller.Cred)
	}
	return rule, nil
}

// reservedPorts is the first port that needs no privilege (IPPORT_RESERVED).
const reservedPorts = 1024

// lookUp replaces the claimed groups by the server's. The copy goes into the call's own scratch, because squashing writes
// into it.
func (g *Guard) lookUp(c *rpc.Call, rule *causeway.ExportRule) error {
	if g.Groups == nil || c.Flavor != rpc.AuthSys || rule.Squash == causeway.AllSquash {
		return nil
	}
	groups, err := g.Groups.Groups(c.Cred.UID, c.NoWait)
	switch {
	case err == nil:
		c.Cred.Groups = append(c.Cred.Groups[:0], groups...)
	case c.NoWait && causeway.CodeOf(err) == causeway.ErrWouldBlock:
		return causeway.ErrWouldBlock
	}
	return nil
}
