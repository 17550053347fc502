package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"causeway"
	"causeway/admin"
	"causeway/cmd/causeway/config"
)

// source is what the operator is shown.
func (n *node) source() admin.Source {
	return admin.Source{Volumes: n.showVolumes, Clients: n.showClients, Locks: n.showLocks, Caches: n.showCaches, Traffic: n.showTraffic}
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
		list[i] = v
	}
	return list
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

// showClients adds up the connections of each host.
func (n *node) showClients(context.Context) []admin.Client {
	if !n.up.Load() {
		return nil
	}
	by := map[netip.Addr]*admin.Client{}
	for _, c := range n.rpc.Conns() {
		host := c.Remote.Addr().Unmap()
		a := by[host]
		if a == nil {
			a = &admin.Client{Address: host.String(), Since: c.Since}
			by[host] = a
		}
		a.Connections++
		a.Calls += c.Calls
		a.BytesIn += c.BytesIn
		a.BytesOut += c.BytesOut
		if c.Since.Before(a.Since) {
			a.Since = c.Since
		}
	}
	for _, m := range n.mounts.Mounts() {
		if a := by[m.Client]; a != nil {
			a.Mounts = append(a.Mounts, m.Path)
		}
	}
	for _, l := range n.locks.Locks() {
		host := l.Owner.Client[strings.LastIndexByte(l.Owner.Client, '@')+1:] // as causeway.OwnerNLM has it
		if addr, err := netip.ParseAddr(host); err == nil && by[addr] != nil {
			by[addr].Locks++
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
	}
	return "none"
}

func (n *node) showCaches(context.Context) []admin.Cache {
	if !n.up.Load() {
		return nil
	}
	all := admin.Cache{Name: "descriptors"}
	for _, s := range n.volumes.list() {
		st := s.store.Stats()
		all.Hits += st.Hits
		all.Misses += st.Misses
		all.Entries += st.Descriptors
	}
	return []admin.Cache{all}
}

func (n *node) showTraffic(context.Context) admin.Traffic {
	if !n.up.Load() {
		return admin.Traffic{}
	}
	st := n.rpc.Stats()
	return admin.Traffic{Connections: st.Conns, InFlight: st.InFlight, BufferBytes: st.BufferBytes, Rejected: st.Rejected,
		Refused: st.Refused, TimedOut: st.TimedOut, Panics: st.Panics}
}
