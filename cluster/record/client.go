package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
)

// Client is a client that must be told when its locks are lost (NSM calls it a monitored host). It changes when the client takes its
// first lock or comes to another gateway, not with each lock.
type Client struct {
	Header
	Protocol string       `json:"protocol"` // "nlm"
	Name     string       `json:"name"`     // what it calls itself
	Address  netip.Addr   `json:"address"`
	Locals   []netip.Addr `json:"locals,omitempty"` // service addresses that it has used
	State    uint32       `json:"state,omitempty"`  // of its status monitor
	Node     string       `json:"node"`             // the gateway that it has used last
	Lost     uint64       `json:"lost,omitempty"`   // revision of the owner key that lost its locks; it was not told yet
	Told     uint64       `json:"told,omitempty"`   // the same, of the latest loss that it was told of
}

// MaxClientName is the longest name of a client in bytes (LM_MAXSTRLEN of NLM).
const MaxClientName = 1024

// Validate names the field that is wrong.
func (c *Client) Validate() error {
	switch {
	case c.Protocol == "" || c.Name == "" || len(c.Name) > MaxClientName || !c.Address.IsValid():
		return fmt.Errorf("client: protocol %.20q, name %.80q, address %v", c.Protocol, c.Name, c.Address)
	case len(c.Locals) > 64:
		return fmt.Errorf("client %.80q: %d addresses of ours", c.Name, len(c.Locals))
	}
	return named("client", c.Node)
}

// Key returns the key of the client's record. It is a hash: names of clients are not fit for keys.
func (c *Client) Key() Key {
	sum := sha256.Sum256([]byte(c.Protocol + "\x00" + c.Name + "\x00" + c.Address.Unmap().String()))
	return Named(KindClient, hex.EncodeToString(sum[:16]))
}
