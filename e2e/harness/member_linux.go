package harness

import (
	"net/netip"
	"strings"
	"time"
)

// Said returns when the gateway logged lines that contain all of the words.
func (m *Member) Said(words ...string) []time.Time {
	var all []time.Time
	for line := range strings.Lines(m.Log()) {
		stamp, rest, ok := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if !ok || err != nil {
			continue
		}
		for _, w := range words {
			ok = ok && strings.Contains(rest, w)
		}
		if ok {
			all = append(all, at)
		}
	}
	return all
}

// Unplug cuts the host from its network, as if its machine had no power.
func (h *Host) Unplug() { h.plug("down") }

// Plug ends that.
func (h *Host) Plug() { h.plug("up") }

func (h *Host) plug(state string) {
	h.t.Helper()
	if err := h.center.ip("link set " + h.port + " " + state); err != nil {
		h.t.Fatal(err)
	}
}

// Has reports whether an address is one of the host's.
func (h *Host) Has(addr netip.Addr) bool {
	h.t.Helper()
	return strings.Contains(h.MustRun("ip", "-o", "addr", "show"), " "+addr.String()+"/")
}
