package address

import (
	"errors"
	"net/netip"
	"time"
)

// Remove takes addresses off this machine that a Manager has added, with the same interface and lifetime, in a process that does not
// run any more: with them there, this machine refuses clients until they expire. Others, and an operator's own, stay. It returns
// how many it removed.
func Remove(addrs []netip.Addr, ifname string, lifetime time.Duration) (removed int, err error) {
	if len(addrs) == 0 {
		return 0, nil
	}
	m, err := newMachine(func(netip.Addr) {})
	if m == nil || err != nil {
		return 0, err
	}
	var errs []error
	for _, addr := range addrs {
		p, err := m.survey(addr, ifname, lifetime)
		if err == nil && p.present && p.ours {
			if err = m.remove(p, addr); err == nil {
				removed++
			}
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(append(errs, m.close())...)
}
