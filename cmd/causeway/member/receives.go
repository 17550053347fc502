package member

import (
	"fmt"
	"net/netip"

	"causeway/cluster/record"
)

// awareService is the name of the library's protocol among the services of a gateway.
const awareService = "causeway"

// Receives fails, with the reason for an operator, if aware clients cannot be sent to a node with a volume; "": with any.
func Receives(t *record.Table, node, volume string) error {
	n, v := t.Node(node), t.VolumeByName(volume)
	m, _ := t.Member(node)
	switch {
	case n == nil:
		return fmt.Errorf("there is no node %.80q", node)
	case m == nil:
		return fmt.Errorf("node %s does not run", node)
	case n.State == record.Draining:
		return fmt.Errorf("node %s drains: causeway node set %s --active ends that", node, node)
	case m.Services != nil && m.Services[awareService] == 0:
		return fmt.Errorf("node %s has no aware clients: it was started without --aware", node)
	case !Welcomes(m, Answering(t)[node]):
		return fmt.Errorf("node %s answers at no service address now: causeway address ls shows who does", node)
	case v == nil:
		return nil
	case !record.SharesDomain(n, v) && v.DomainPolicy == record.Strict:
		return fmt.Errorf("node %s is not in the domain %s of volume %s", node, v.Domain, volume)
	case !record.SharesDomain(n, v):
		return fmt.Errorf("node %s does not reach the storage of volume %s: it is not in the domain %s", node, volume, v.Domain)
	}
	if r := t.Get(record.Refused(v.ID, node)); r != nil {
		return fmt.Errorf("node %s does not reach volume %s now: %s", node, volume, r.Value.(*record.Refusal).Reason)
	}
	return nil
}

// Welcomes reports whether aware clients find a node that runs: it speaks their protocol, and answers at addresses that stay.
func Welcomes(m *record.Member, answering []netip.Addr) bool {
	return (m.Services == nil || m.Services[awareService] != 0) && len(answering) > 0
}
