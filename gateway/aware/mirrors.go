package aware

import (
	"net/netip"
	"slices"

	"causeway/client/clientpb"
)

// Mirror is a volume that may be read in place of another one.
type Mirror struct{ Volume, Mirror string }

// mirrors is what one stream has told its client of mirrors.
type mirrors struct {
	s      *Server
	client netip.Addr
	told   bool
	said   []Mirror
}

// next returns what is to be told: nil, if that is what was told last. A client that reads at a mirror that is not there any more goes back, so
// the list has to be complete, and a redirect to a mirror comes after a list that has it.
func (m *mirrors) next(known []Mirror) *clientpb.Mirrors {
	if m.s.cfg.Mirrors == nil {
		return nil
	}
	var now []Mirror
	for _, k := range known {
		if m.s.sees(m.client, k.Volume) && m.s.sees(m.client, k.Mirror) {
			now = append(now, k)
		}
	}
	if m.told && slices.Equal(now, m.said) {
		return nil
	}
	m.told, m.said = true, now
	out := &clientpb.Mirrors{}
	for _, k := range now {
		out.All = append(out.All, &clientpb.Mirror{Volume: k.Volume, Mirror: k.Mirror})
	}
	return out
}
