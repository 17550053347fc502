package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/admin"
	"causeway/backend/posix"
	"causeway/cmd/causeway/config"
)

// source is what the operator is shown.
func (n *node) source() admin.Source {
	return admin.Source{Volumes: n.showVolumes, Clients: n.showClients, Locks: n.showLocks, Locking: n.showLocking,
		Replies: n.showReplies, Caches: n.showCaches, Traffic: n.showTraffic, SMB: n.showSMB}
}

func (n *node) showVolumes(ctx context.Context) []admin.Volume {
	if !n.up.Load() {
		return nil
	}
	defer n.gate.Enter().Leave()
	served := n.volumes.list()
	list := make([]admin.Volume, len(served))
	for i, s := range served {
		v := admin.Volume{Name: s.volume.Name, ID: s.volume.ID.String(), Path: s.spec.Path, Modes: modes(s.volume)}
		for r := range s.volume.Exports {
			v.Allow = append(v.Allow, config.FormatRule(&s.volume.Exports[r]))
		}
		if fs, err := s.store.StatFS(ctx); err != nil {
			v.Error = err.Error()
		} else {
			v.Total, v.Used, v.Avail, v.Files = fs.TotalBytes, fs.TotalBytes-fs.FreeBytes, fs.AvailBytes, fs.TotalFiles-fs.FreeFiles
		}
		v.Calls, v.BytesIn, v.BytesOut = s.meter.Totals()
		v.Storage = storage(s.store)
		list[i] = v
	}
	return list
}

func storage(of volumeStore) admin.Storage {
	s, ok := of.(*posix.Store)
	if !ok {
		return admin.Storage{Identity: "server"}
	}
	st := s.Stats()
	return admin.Storage{Identity: string(s.Identity()), Descriptors: st.Descriptors, MaxDescriptors: st.MaxDescriptors, Dirty: st.Dirty,
		Evictions: st.Evictions, Syncs: st.Syncs, SyncRequests: st.SyncRequests, SyncErrors: st.SyncErrors, Scans: st.Scans}
}

func modes(v *causeway.Volume) []string {
	words := []string{"sync"}
	if v.Async {
		words[0] = "async"
	}
	if v.Exclusive {
		words = append(words, "exclusive")
	}
	if v.ReadOnly {
		words = append(words, "read-only")
	}
	return words
}

// showClients adds up the connections of each host. One that has mounted something, or holds locks, and has none is shown too:
// it may be idle, gone, or speak NFS to another gateway.
func (n *node) showClients(context.Context) []admin.Client {
	if !n.up.Load() {
		return nil
	}
	by := map[netip.Addr]*admin.Client{}
	host := func(addr netip.Addr) *admin.Client {
		a := by[addr]
		if a == nil {
			a = &admin.Client{Address: addr.String()}
			by[addr] = a
		}
		return a
	}
	for _, c := range n.rpc.Conns() {
		a := host(c.Remote.Addr().Unmap())
		a.Connections++
		a.Calls += c.Calls
		a.BytesIn += c.BytesIn
		a.BytesOut += c.BytesOut
		if a.Since.IsZero() || c.Since.Before(a.Since) {
			a.Since = c.Since
		}
	}
	for _, m := range n.mounts.Mounts() {
		a := host(m.Client)
		a.Mounts = append(a.Mounts, m.Path)
	}
	for _, l := range n.locks.Locks() {
		name := l.Owner.Client[strings.LastIndexByte(l.Owner.Client, '@')+1:] // as causeway.OwnerNLM has it
		if addr, err := netip.ParseAddr(name); err == nil {
			host(addr).Locks++
		}
	}
	list := make([]admin.Client, 0, len(by))
	for _, a := range by {
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b admin.Client) int { return strings.Compare(a.Address, b.Address) })
	return list
}

func (n *node) showLocks(context.Context) ([]admin.Lock, error) {
	if !n.up.Load() {
		return nil, nil
	}
	names := map[causeway.VolumeID]string{}
	for _, v := range n.volumes.catalog.Volumes() {
		names[v.ID] = v.Name
	}
	held := n.locks.Locks()
	list := make([]admin.Lock, len(held))
	for i, l := range held {
		end := l.Span.End()
		if end == causeway.ToEOF {
			end = 0
		}
		list[i] = admin.Lock{Volume: names[l.Handle.Volume], Object: l.Handle.Object.String(), Protocol: protocol(l.Owner.Kind),
			Client: l.Owner.Client, Start: l.Span.Offset, End: end, Exclusive: l.Exclusive}
	}
	return list, nil
}

func protocol(k causeway.OwnerKind) string {
	switch k {
	case causeway.OwnerNLM:
		return "nlm"
	case causeway.OwnerV4:
		return "nfs4"
	case causeway.OwnerSMB:
		return "smb"
	case causeway.OwnerAware:
		return "aware"
	}
	return "none"
}

func (n *node) showCaches(context.Context) []admin.Cache {
	if !n.up.Load() {
		return nil
	}
	all := admin.Cache{Name: "descriptors"}
	for _, s := range n.volumes.list() {
		dir, ok := s.store.(*posix.Store)
		if !ok {
			continue
		}
		st := dir.Stats()
		all.Hits += st.Hits
		all.Misses += st.Misses
		all.Entries += st.Descriptors
	}
	grants := n.moves.Stats()
	return []admin.Cache{all, {Name: "grants", Hits: grants.Hits, Misses: grants.Misses, Entries: grants.Open}}
}

func (n *node) showLocking(context.Context) admin.Locking {
	if !n.up.Load() {
		return admin.Locking{}
	}
	held, clients := n.locks.Stats(), n.nlm.Stats()
	l := admin.Locking{Held: held.Held, Waiting: held.Waiting, Clients: clients.Clients, Unacknowledged: clients.Unacknowledged,
		Callbacks: clients.Callbacks, CallbackFailures: clients.CallbackFailures, Notified: clients.Notified,
		NotifyFailures: clients.NotifyFailures, Released: clients.Released, Grace: held.Grace}
	if l.Grace {
		l.GraceLeft = max(time.Until(n.grace), 0).Seconds()
	}
	return l
}

func (n *node) showReplies(context.Context) admin.Replies {
	if !n.up.Load() {
		return admin.Replies{}
	}
	u := n.replies.Usage()
	return admin.Replies{Entries: u.Entries, Bytes: u.Bytes, Clients: u.Clients}
}

func (n *node) showTraffic(context.Context) admin.Traffic {
	if !n.up.Load() {
		return admin.Traffic{}
	}
	st := n.rpc.Stats()
	return admin.Traffic{Connections: st.Conns, InFlight: st.InFlight, BufferBytes: st.BufferBytes, Rejected: st.Rejected,
		Refused: st.Refused, TimedOut: st.TimedOut, Stuck: st.Stuck, Panics: st.Panics, Datagrams: st.Datagrams}
}
