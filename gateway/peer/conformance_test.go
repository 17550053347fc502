package peer

import (
	"testing"

	"causeway/gateway/gatewaytest"
)

// TestConformance: a gateway that owns nothing answers as the owner does.
func TestConformance(t *testing.T) {
	for name, o := range map[string]options{"away": {}, "async": {async: true}, "near": {near: true}} {
		t.Run(name, func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				s := newSite(t, o)
				return gatewaytest.Fixture{Access: front{s.g[1].router, s}, Transfer: s.g[1].data, Volume: vol} // names are waited for: they are changed elsewhere
			})
		})
	}
}
