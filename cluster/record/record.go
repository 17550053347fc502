// Package record holds what the configuration database stores: the records, the keys under which they lie, their encoding,
// and transactions as values. It does no I/O and knows no database, so that a simulated one can stand in for the real one.
//
// Not here: who may write what and when (cluster/ownership), placement (cluster/balance), the database (cluster/engine).
package record

import (
	"fmt"
	"strings"

	"causeway"
)

// Kind says what a key holds.
type Kind uint8

// The kinds. Those marked "lease" vanish with the lease of the node that wrote them.
const (
	KindCluster   Kind = iota + 1 // one record: id, incarnation, min_version
	KindNode                      // what an operator sets for a node
	KindMember                    // lease: a running gateway; its create revision fences the gateway's writes
	KindLoad                      // lease: what a gateway measured
	KindVolume                    // what an operator sets for a volume
	KindName                      // a volume's name, which makes it unique
	KindAssign                    // which node shall own a volume
	KindOwner                     // lease: which node owns a volume; its create revision is the epoch
	KindLock                      // lease: who is master
	KindPlan                      // lease: the volumes that are about to move
	KindConfirm                   // lease: a node has paused the volumes of a plan
	KindFence                     // a node was dropped and may still believe that it is alive
	KindRefusal                   // lease: a node cannot own a volume
	KindToken                     // a join token
	KindAuthority                 // the cluster's certificate authorities, with their keys
	KindServer                    // a node is asked to run a server of the database
	KindClient                    // a client of a protocol that has to know it after the death of a gateway
	KindSettings                  // one record: what an operator sets for the whole cluster
	KindRebalance                 // one record: when placement was ordered last, and by whom
	KindUser                      // an account that may log on over SMB
	KindShadow                    // from when on a second copy of what a volume's owner knows counts
	kinds
)

var kindNames = [kinds]string{
	KindCluster: "cluster", KindNode: "node", KindMember: "member", KindLoad: "load", KindVolume: "volume", KindName: "name",
	KindAssign: "assign", KindOwner: "owner", KindLock: "lock", KindPlan: "plan", KindConfirm: "confirm", KindFence: "fence",
	KindRefusal: "refusal", KindToken: "token", KindAuthority: "authority", KindServer: "server",
	KindClient:   "client",
	KindSettings: "settings", KindRebalance: "rebalance",
	KindUser: "user", KindShadow: "shadow",
}

// Known reports whether this version knows the kind.
func (k Kind) Known() bool { return k > 0 && k < kinds }

// String returns the kind as it stands in a key.
func (k Kind) String() string {
	if k > 0 && k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// byVolume reports whether a key of this kind is named by a volume's id.
func (k Kind) byVolume() bool {
	return k == KindVolume || k == KindAssign || k == KindOwner || k == KindRefusal || k == KindShadow
}

// Key names a record. Kinds of which there is one have neither name nor volume.
type Key struct {
	Kind   Kind
	Name   string
	Volume causeway.VolumeID
}

// Prefix stands before all keys, so that an existing database can be shared with others.
const Prefix = "/causeway/"

// String returns the key as the database knows it.
func (k Key) String() string {
	var b strings.Builder
	b.WriteString(Prefix)
	b.WriteString(k.Kind.String())
	if k.Kind.byVolume() {
		b.WriteString("/" + k.Volume.String())
	}
	if k.Name != "" {
		b.WriteString("/" + k.Name)
	}
	return b.String()
}

// ParseKey is the inverse of String. It fails for keys that a newer version may have written; readers skip those.
func ParseKey(s string) (Key, error) {
	rest, ok := strings.CutPrefix(s, Prefix)
	if !ok {
		return Key{}, fmt.Errorf("key %.100q: not below %s", s, Prefix)
	}
	kind, rest, _ := strings.Cut(rest, "/")
	for k := Kind(1); k < kinds; k++ {
		if kindNames[k] != kind {
			continue
		}
		key := Key{Kind: k, Name: rest}
		if k.byVolume() {
			id, name, _ := strings.Cut(rest, "/")
			if _, err := fmt.Sscanf(id, "%016x", (*uint64)(&key.Volume)); err != nil {
				return Key{}, fmt.Errorf("key %.100q: no volume id", s)
			}
			key.Name = name
		}
		if key.String() != s {
			return Key{}, fmt.Errorf("key %.100q: not canonical", s)
		}
		return key, nil
	}
	return Key{}, fmt.Errorf("key %.100q: unknown kind", s)
}

// Named returns the key of a record that a name finds.
func Named(kind Kind, name string) Key { return Key{Kind: kind, Name: name} }

// Of returns the key of a record that a volume's id finds.
func Of(kind Kind, v causeway.VolumeID) Key { return Key{Kind: kind, Volume: v} }

// Sole returns the key of a kind of which there is one record.
func Sole(kind Kind) Key { return Key{Kind: kind} }

// Refused returns the key that says that node cannot own v.
func Refused(v causeway.VolumeID, node string) Key {
	return Key{Kind: KindRefusal, Volume: v, Name: node}
}

// Item is a stored record. Items are immutable: who changes a record copies it first.
type Item struct {
	Key    Key
	Value  Record
	Create int64 // revision that created the key
	Mod    int64 // revision that wrote it last
	Lease  int64 // lease that it depends on, or 0
}

// Change is one step of the database's history. Item is nil if the key was deleted.
type Change struct {
	Key  Key
	Item *Item
}
