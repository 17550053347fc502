package peer

import "sync/atomic"

// counts are shared by the sessions of one side.
type counts struct {
	asked, served, repeated, duplicates, cancelled, stale, packets, frames, streams, failed, lost, refused atomic.Uint64
}

// Stats counts since the start, for metrics.
type Stats struct {
	Asked      uint64 // requests sent to others
	Served     uint64 // requests of others that were executed
	Repeated   uint64 // requests that were sent again because their stream broke
	Duplicates uint64 // requests that came again, and were not executed again
	Cancelled  uint64 // requests that the other side gave up
	Stale      uint64 // requests refused because of their epoch
	Refused    uint64 // streams refused
	Packets    uint64 // sent
	Frames     uint64 // sent in them
	Streams    uint64 // that were made
	Failed     uint64 // attempts to make one
	Lost       uint64 // sessions that the other side no longer knew
}

func (c *counts) stats() Stats {
	return Stats{
		Asked: c.asked.Load(), Served: c.served.Load(), Repeated: c.repeated.Load(), Duplicates: c.duplicates.Load(), Cancelled: c.cancelled.Load(),
		Stale: c.stale.Load(), Refused: c.refused.Load(), Packets: c.packets.Load(), Frames: c.frames.Load(), Streams: c.streams.Load(),
		Failed: c.failed.Load(), Lost: c.lost.Load(),
	}
}
