// Package utilization says how busy a gateway is: one figure in percent, and the parts of which it is made. The arithmetic is pure;
// what is read from the machine comes in as readings of counters.
//
// Not here: what is done about it (sending clients elsewhere), where it is stored (cluster/record), how often (the node's record).
package utilization

import (
	"fmt"
	"time"
)

// Reading is the state of a gateway's counters at a moment. Those that cannot be read stay zero, and count for nothing.
type Reading struct {
	At        time.Duration // by a monotonic clock
	CPUBusy   uint64        // of the machine, in any unit
	CPUTotal  uint64        // in the same unit
	Links     []Link        // of the machine
	Calls     uint64        // that were answered
	CallTime  time.Duration // that these took, together
	InFlight  int           // calls that wait for storage or others now
	MaxFlight int           // and how many may
}

// Link is a network interface.
type Link struct {
	Name          string
	BytesIn       uint64
	BytesOut      uint64
	BytesInSecond uint64 // that it can carry, each way; 0: not known
}

// Config says what counts as fully used.
type Config struct {
	Latency time.Duration // mean time of a call at which storage counts as fully used; default 50 ms
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Latency < 0 {
		return fmt.Errorf("utilization: Latency is negative")
	}
	if c.Latency == 0 {
		c.Latency = 50 * time.Millisecond
	}
	return nil
}

// Parts are percent, 0 to 100 each.
type Parts struct {
	CPU     uint8 // of the machine's processors
	Network uint8 // of the link that is used the most
	Slots   uint8 // calls in flight, of those that may be
	Storage uint8 // mean time of a call, of the one at which storage counts as fully used
}

// Figure is the whole: the part that is used the most, since that is what a further client would wait for.
func (p Parts) Figure() uint8 { return max(p.CPU, p.Network, p.Slots, p.Storage) }

// Map returns the parts by name.
func (p Parts) Map() map[string]uint8 {
	return map[string]uint8{"cpu": p.CPU, "network": p.Network, "slots": p.Slots, "storage": p.Storage}
}

// Between returns how busy a gateway was between two readings. Counters that fell were reset, and count for nothing.
func Between(from, to Reading, cfg Config) Parts {
	p := Parts{
		CPU:   percent(rise(from.CPUBusy, to.CPUBusy), rise(from.CPUTotal, to.CPUTotal)),
		Slots: percent(uint64(max(to.InFlight, 0)), uint64(max(to.MaxFlight, 0))),
	}
	if calls := rise(from.Calls, to.Calls); calls > 0 && cfg.Latency > 0 {
		mean := rise(uint64(max(from.CallTime, 0)), uint64(max(to.CallTime, 0))) / calls
		p.Storage = percent(mean, uint64(cfg.Latency))
	}
	took := to.At - from.At
	for _, link := range to.Links {
		for _, before := range from.Links {
			if before.Name != link.Name || took <= 0 {
				continue
			}
			moved := max(rise(before.BytesIn, link.BytesIn), rise(before.BytesOut, link.BytesOut))
			p.Network = max(p.Network, percent(uint64(float64(moved)/took.Seconds()), link.BytesInSecond))
		}
	}
	return p
}

func rise(from, to uint64) uint64 {
	if to < from {
		return 0
	}
	return to - from
}

// percent is part of whole, rounded, at most 100. Of nothing it is 0.
func percent(part, whole uint64) uint8 {
	if whole == 0 {
		return 0
	}
	return uint8(min(float64(part)/float64(whole)*100+0.5, 100))
}

// Sampler remembers the last reading. It is not safe for concurrent use.
type Sampler struct {
	cfg  Config
	last Reading
}

// NewSampler begins with a reading.
func NewSampler(cfg Config, first Reading) (*Sampler, error) {
	err := cfg.Validate()
	return &Sampler{cfg, first}, err
}

// Next returns how busy the gateway was since the last reading.
func (s *Sampler) Next(now Reading) Parts {
	p := Between(s.last, now, s.cfg)
	s.last = now
	return p
}
