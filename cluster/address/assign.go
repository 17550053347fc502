package address

import (
	"hash/fnv"
	"net/netip"
)

// Assign returns who answers for an address: the gateway that it belongs to if that runs, else one of those that run, the same one
// from the same names in whatever order; "" if none runs. When a gateway comes or goes, only its own addresses and those that it
// had taken move.
func Assign(addr netip.Addr, home string, running []string) string {
	best, highest := "", uint64(0)
	for _, name := range running {
		if name == home {
			return home
		}
		h := fnv.New64a()
		h.Write(addr.AsSlice())
		h.Write([]byte(name))
		weight := h.Sum64() * 0x9e3779b97f4a7c15 // the last bytes change only the low bits of the sum
		if best == "" || weight > highest || weight == highest && name < best {
			best, highest = name, weight
		}
	}
	return best
}
