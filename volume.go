package causeway

import "net/netip"

// Volume describes what is exported: an NFS export and an SMB share of the same tree. It is immutable once published in a
// catalog; a change publishes another one.
type Volume struct {
	ID        VolumeID
	Name      string // unique; exported as "/Name"
	Async     bool   // names and attributes are acknowledged before they are stable
	Exclusive bool   // nothing but the gateways changes the tree: attributes and names may be cached
	ReadOnly  bool   // the storage itself cannot be written
	Mandatory bool   // byte-range locks of SMB clients refuse I/O of NFS clients too, and opens that share no deletion changes of their names
	SMB       Share  // how it is served over SMB
	Exports   []ExportRule
	Keys      []HandleKey // the first one signs; all verify
}

// Share says how a volume is served over SMB. The zero Share is open to all users.
type Share struct {
	Off           bool     // it is not
	Encrypt       bool     // requests that are not encrypted are refused
	Users         []string // who may use it; none: every user
	CaseSensitive bool     // names that differ in case only are not the same to SMB clients
	// CaseInsensitive: they are the same to NFS clients too. Neither: to SMB clients alone.
	CaseInsensitive bool
	Advisory        bool // byte-range locks of SMB clients bind SMB clients alone: see [Volume.Mandatory]
}

// Mandatory reports whether byte-range locks of the share's clients refuse I/O of NFS clients.
func (s *Share) Mandatory() bool { return !s.Off && !s.Advisory }

// HandleKey authenticates filehandles. It is born with its volume and never replaced, only joined by newer ones.
type HandleKey struct {
	ID     uint8
	Secret [16]byte
}

// Squash says whose credentials are replaced by the anonymous ones.
type Squash uint8

// The squash rules, as in exports(5).
const (
	RootSquash Squash = iota
	NoRootSquash
	AllSquash
)

// ExportRule says what clients of a network may do with a volume. The rule with the longest matching prefix counts.
type ExportRule struct {
	Prefix           netip.Prefix
	ReadOnly         bool
	Squash           Squash
	AnonUID, AnonGID uint32
	Secure           bool // requests must come from a port below 1024
}

// Rule returns the rule for a client, or nil if the volume is not exported to it.
func (v *Volume) Rule(client netip.Addr) *ExportRule {
	client = client.Unmap()
	var best *ExportRule
	for i := range v.Exports {
		r := &v.Exports[i]
		if r.Prefix.Contains(client) && (best == nil || r.Prefix.Bits() > best.Prefix.Bits()) {
			best = r
		}
	}
	return best
}

// Apply replaces in cred what the rule squashes: UID 0 (and GID 0 with it, everywhere) or everything; and always what is no id.
func (r *ExportRule) Apply(cred *Cred) {
	if r.Squash == AllSquash {
		r.Anonymous(cred)
		return
	}
	squashes := func(id uint32) bool { return id == NoID || id == 0 && r.Squash == RootSquash }
	if squashes(cred.UID) {
		cred.UID = r.AnonUID
	}
	if squashes(cred.GID) {
		cred.GID = r.AnonGID
	}
	for i, g := range cred.Groups {
		if squashes(g) {
			cred.Groups[i] = r.AnonGID
		}
	}
}

// Anonymous replaces everything in cred.
func (r *ExportRule) Anonymous(cred *Cred) {
	cred.UID, cred.GID, cred.Groups = r.AnonUID, r.AnonGID, nil
}
