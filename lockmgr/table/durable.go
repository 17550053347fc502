package table

import (
	"cmp"
	"maps"
	"slices"

	"causeway"
)

// Disconnect keeps an open without its client for as long as it was promised, if its handle is still its client's alone to cache
// ([MS-SMB2] 3.3.7.1), else closes it. kept tells which. A break that waits for the client cannot be answered any more.
func (t *Table) Disconnect(h causeway.Handle, id causeway.OpenID) (kept bool, code causeway.Code) {
	o := t.opens[id]
	if o == nil || o.Handle != h {
		return false, causeway.ErrBadOpen
	}
	return t.disconnect(o), causeway.OK
}

func (t *Table) disconnect(o *open) (kept bool) {
	if o.KeepSeconds == 0 || o.lease == nil || o.lease.caching&causeway.CacheHandle == 0 || o.lease.breaking {
		t.drop(o)
		return false
	}
	o.Disconnected, o.left = true, int(o.KeepSeconds)
	t.timed[o] = struct{}{}
	t.noteOpen(o)
	return true
}

// RenewRequest says who wants a disconnected open back: by Held's Open, or by its GUID if Open is zero; of Held, Handle, Owner, UID,
// Gateway and Lease count.
type RenewRequest struct{ Held causeway.Held }

// Renew connects an open again: ErrBadOpen if there is none, or it is another client's, user's or lease's, or still connected; ErrBusy if it is
// connected at another gateway, as far as is known.
func (t *Table) Renew(r *RenewRequest) (causeway.Held, LeaseState, causeway.Code) {
	h := &r.Held
	o := t.opens[h.Open]
	if h.Open == (causeway.OpenID{}) && h.GUID != ([16]byte{}) {
		o = t.guids[h.GUID]
	}
	none := LeaseState{}
	if o == nil || o.Handle != h.Handle || o.UID != h.UID || o.GUID != h.GUID || o.Owner.Kind != h.Owner.Kind {
		return causeway.Held{}, none, causeway.ErrBadOpen
	}
	elsewhere := !o.Disconnected && o.Gateway != h.Gateway
	if !o.Disconnected && !elsewhere {
		return causeway.Held{}, none, causeway.ErrBadOpen
	}
	named := o.Lease.Kind == causeway.Lease
	if named != (h.Lease.Kind == causeway.Lease) || named && o.Lease != h.Lease {
		return causeway.Held{}, none, causeway.ErrBadOpen
	}
	if h.Open == (causeway.OpenID{}) && o.Owner.Client != h.Owner.Client {
		return causeway.Held{}, none, causeway.ErrBadOpen
	}
	if elsewhere { // the gateway that it is at may be dead: that is known soon
		return causeway.Held{}, none, causeway.ErrBusy
	}
	t.reconnect(o, h.Gateway)
	return o.Held, o.leaseState(), causeway.OK
}

func (t *Table) reconnect(o *open, gateway string) {
	o.Disconnected, o.Gateway, o.left = false, gateway, 0
	delete(t.timed, o)
	if own := t.owners[o.Owner]; own != nil {
		own.gateway = gateway
	}
	t.noteOpen(o)
}

func (t *Table) tickOpens() {
	list := slices.SortedFunc(maps.Keys(t.timed), func(a, b *open) int { return cmp.Compare(a.Serial, b.Serial) })
	for _, o := range list {
		if t.opens[o.Open] != o {
			continue
		}
		if o.left--; o.left <= 0 {
			t.lose(o)
		}
	}
}

// orphan is what clients of a dead gateway hold in a volume.
type orphan struct {
	volume  causeway.VolumeID
	gateway string
}

// ReleaseGateway says that a gateway died. Opens that may outlive their connection are disconnected at once. What else came through
// it is dropped after some ticks, but for what another gateway took over before: by Adopt, by Assert, or by a request of its owner.
func (t *Table) ReleaseGateway(v causeway.VolumeID, gateway string, ticks int) {
	t.orphans[orphan{v, gateway}] = max(ticks, 1)
	for _, o := range t.opensOf(v, gateway) {
		if o.KeepSeconds > 0 && !o.Disconnected {
			t.disconnect(o)
		}
	}
}

// Died ends what SMB clients have open through a gateway that has died: their sessions were there alone. What is durable is kept for them.
func (t *Table) Died(gateway string) {
	var list []*open
	for _, o := range t.opens {
		if o.Gateway == gateway && o.Owner.Kind == causeway.OwnerSMB && !o.Disconnected {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *open) int { return cmp.Compare(a.Serial, b.Serial) })
	for _, o := range list {
		if o.KeepSeconds > 0 {
			t.disconnect(o)
		} else {
			t.drop(o)
		}
	}
}

// Adopt says that another gateway speaks for a client now, who moved to it with the address of a dead one.
func (t *Table) Adopt(c Client, gateway string) {
	if cl := t.clients[c]; cl != nil {
		for _, own := range cl.owners {
			own.gateway = gateway
			t.noteHolds(own)
		}
		for _, o := range t.opens {
			if o.client == cl {
				o.Gateway = gateway
				t.noteOpen(o)
			}
		}
	}
}

func (t *Table) opensOf(v causeway.VolumeID, gateway string) []*open {
	var list []*open
	for _, o := range t.opens {
		if o.Handle.Volume == v && o.Gateway == gateway {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *open) int { return cmp.Compare(a.Serial, b.Serial) })
	return list
}

func (t *Table) tickOrphans() {
	for _, of := range slices.SortedFunc(maps.Keys(t.orphans), func(a, b orphan) int {
		return cmp.Or(cmp.Compare(a.volume, b.volume), cmp.Compare(a.gateway, b.gateway))
	}) {
		if t.orphans[of]--; t.orphans[of] > 0 {
			continue
		}
		delete(t.orphans, of)
		for _, o := range t.opensOf(of.volume, of.gateway) {
			if t.opens[o.Open] == o && !o.Disconnected {
				t.lose(o)
			}
		}
		t.releaseWhere(of.volume, func(own *owner) bool { return own.gateway == of.gateway && !t.keeps(own) })
	}
}

// keeps reports whether the owner is an open that waits for its client.
func (t *Table) keeps(own *owner) bool {
	if !own.stacks() || len(own.id.Opaque) != len(causeway.OpenID{}) {
		return false
	}
	o := t.opens[causeway.OpenID([]byte(own.id.Opaque))]
	return o != nil && o.Disconnected
}
