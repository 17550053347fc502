package nlm

import (
	"context"
	"net/netip"
)

// Record says that a client holds or held locks, so that it must be told when they are lost. NSM calls it a monitored host.
type Record struct {
	Name   string       `json:"name"`            // caller_name
	Addr   netip.Addr   `json:"addr"`            // where it came from
	Locals []netip.Addr `json:"locals"`          // the addresses of ours that it called: it listens to them only
	State  uint32       `json:"state,omitempty"` // of the client's NSM when it took its locks, 0 if not known
}

// Client is the name under which the client's owners stand in the lock table. Hosts with equal names are common (images that
// were cloned), so the address is part of it.
func (r Record) Client() string { return clientName(r.Name, r.Addr) }

func clientName(name string, addr netip.Addr) string { return name + "@" + addr.Unmap().String() }

// Records keeps records over restarts. All methods may be called by many goroutines at once.
type Records interface {
	// Known returns the records as they were when the Records were opened.
	Known() []Record
	// State is the number that tells our clients one life of the server from another (NSM state: odd while it is up); it rises
	// with every opening.
	State() uint32
	// Put stores a record, in place of one with the same Client. It is on stable storage when Put returns.
	Put(ctx context.Context, r Record) error
	// At returns the records of clients at an address that another gateway may have stored.
	At(addr netip.Addr) []Record
	// Mine returns the records that this gateway is to forget when their clients hold nothing: those that it has stored in an earlier life.
	Mine() []Record
	// Stray returns those that are nobody's to forget, since their gateways are gone, and that this one is to look after.
	Stray() []Record
	// Delete forgets a record.
	Delete(ctx context.Context, r Record) error
}
