package record

import (
	"fmt"
	"time"

	"causeway"
)

// Cluster says which cluster this is. There is one.
type Cluster struct {
	Header
	ID          string `json:"id"`
	Incarnation uint64 `json:"incarnation"`      // rises when the database was restored or moved, so that epochs never fall
	MinVersion  uint32 `json:"min_version"`      // what every gateway must speak
	Secret      []byte `json:"secret,omitempty"` // random: keys of what gateways share are made of it; since version 1 has it, empty only in older databases
}

// Validate names the field that is wrong.
func (c *Cluster) Validate() error {
	if c.ID == "" || c.Incarnation == 0 {
		return fmt.Errorf("cluster: no id or no incarnation")
	}
	return nil
}

// Assign says which node shall own a volume: the published result of placement.
type Assign struct {
	Header
	Node string `json:"node"`
}

// Validate names the field that is wrong.
func (a *Assign) Validate() error { return named("assign", a.Node) }

// Owner says which node owns a volume. The create revision of its key is the epoch's revision; writing it again, to say that
// the owner is ready, does not change that.
type Owner struct {
	Header
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"` // of the node
	Serving     bool   `json:"serving"`     // it has taken over what there was to take over

	Since time.Time `json:"since,omitzero"` // when this was written, by the node's clock: for people
}

// Validate names the field that is wrong.
func (o *Owner) Validate() error { return named("owner", o.Node) }

// Shadow says which second copy of what a volume's owner knows is the latest that was begun: who acquires the volume later, and finds
// only older ones, knows that something is lost. Term 0 of an owner that had no copy yet is never written.
type Shadow struct {
	Header
	Incarnation uint64 `json:"incarnation"` // of the owner's epoch
	Revision    uint64 `json:"revision"`    // likewise
	Term        uint64 `json:"term"`        // counts the copies of an ownership
}

// Validate names the field that is wrong.
func (s *Shadow) Validate() error {
	if s.Incarnation == 0 || s.Revision == 0 || s.Term == 0 {
		return fmt.Errorf("shadow: epoch %d.%d, term %d", s.Incarnation, s.Revision, s.Term)
	}
	return nil
}

// Lock says who is master. The create revision of its key fences the master's writes.
type Lock struct {
	Header
	Node string `json:"node"`
}

// Validate names the field that is wrong.
func (l *Lock) Validate() error { return named("lock", l.Node) }

// Plan names the volumes that are about to move. Every gateway pauses them and confirms.
type Plan struct {
	Header
	Master string `json:"master"`
	Moves  []Move `json:"moves"`
}

// Move is one volume's change of owner.
type Move struct {
	Volume causeway.VolumeID `json:"volume"`
	From   string            `json:"from"`
	To     string            `json:"to"`
	Owner  int64             `json:"owner"` // create revision of the owner key that it ends
}

// Validate names the field that is wrong.
func (p *Plan) Validate() error { return named("plan", p.Master) }

// Confirm says that a node has paused all volumes of a plan.
type Confirm struct {
	Header
	Node string `json:"node"`
	Plan int64  `json:"plan"` // revision that wrote the plan
}

// Validate names the field that is wrong.
func (c *Confirm) Validate() error { return named("confirm", c.Node) }

// Fence says that a node was dropped while it may still believe that it is alive. Nothing that it owned is given to another
// until its lease is revoked and the time has passed after which it stops by itself.
type Fence struct {
	Header
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
	Lease       int64  `json:"lease"`
	Reason      string `json:"reason"`
}

// Validate names the field that is wrong.
func (f *Fence) Validate() error { return named("fence", f.Node) }

// Refusal says that a node cannot own a volume, because its storage is out of reach for example.
type Refusal struct {
	Header
	Reason string `json:"reason"`
}

// Validate always succeeds.
func (r *Refusal) Validate() error { return nil }

// Token lets a machine join once or more often before it expires. The secret itself is not stored.
type Token struct {
	Header
	Hash    []byte    `json:"hash"` // SHA-256 of the secret
	Expires time.Time `json:"expires"`
}

// Validate names the field that is wrong.
func (t *Token) Validate() error {
	if len(t.Hash) != 32 || t.Expires.IsZero() {
		return fmt.Errorf("token: no hash or no end")
	}
	return nil
}

// Authority holds the cluster's certificate authorities, PEM. The first one issues; all are trusted.
type Authority struct {
	Header
	Issuers []Issuer `json:"issuers"`
}

// Issuer is one certificate authority.
type Issuer struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	Crosses     string `json:"crosses,omitempty"` // certificates that lead from authorities before it to this one, PEM
}

// Validate names the field that is wrong.
func (a *Authority) Validate() error {
	if len(a.Issuers) == 0 {
		return fmt.Errorf("authority: no issuer")
	}
	return nil
}

// Server asks a node to run a server of the database.
type Server struct {
	Header
	Node string `json:"node"`
	Peer string `json:"peer"` // host:port
}

// Validate names the field that is wrong.
func (s *Server) Validate() error { return named("server", s.Node) }

func named(kind, node string) error {
	if !validName(node) {
		return fmt.Errorf("%s: node %.80q", kind, node)
	}
	return nil
}
