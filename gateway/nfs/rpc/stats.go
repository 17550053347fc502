package rpc

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// counters only rise.
type counters struct {
	refusedConns, rejected, panics, timedOut, stolen, datagrams atomic.Uint64
}

// Stats is a snapshot of a server.
type Stats struct {
	Conns       int    // open stream connections
	InFlight    int    // calls in goroutines of their own, until their replies are sent
	Buffers     int    // lent buffers
	BufferBytes int64  // and their bytes
	Rejected    uint64 // calls that no program saw: bad headers, unknown programs
	Refused     uint64 // connections that were one too many
	TimedOut    uint64 // connections that held something for too long
	Stuck       uint64 // handlers that were stuck on a goroutine that reads sockets, and lost it
	Panics      uint64 // handlers that panicked
	Datagrams   uint64 // calls that came by UDP
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Conns: conns, InFlight: int(s.calls.now()), Buffers: int(s.pool.Lent()), BufferBytes: s.pool.Used(),
		Rejected: s.counts.rejected.Load(), Refused: s.counts.refusedConns.Load(), TimedOut: s.counts.timedOut.Load(),
		Stuck: s.counts.stolen.Load(), Panics: s.counts.panics.Load(), Datagrams: s.counts.datagrams.Load(),
	}
}

// ConnInfo describes a stream connection.
type ConnInfo struct {
	Remote, Local     netip.AddrPort
	Since, LastCall   time.Time
	Calls             uint64
	BytesIn, BytesOut uint64
	InFlight          int
	Queued            int // bytes of replies that wait for the client
}

// Conns lists the stream connections, in no order.
func (s *Server) Conns() []ConnInfo {
	conns := s.snapshot()
	infos := make([]ConnInfo, 0, len(conns))
	for _, c := range conns {
		info := ConnInfo{
			Remote: c.remote, Local: c.local, Since: s.epoch.Add(c.since), LastCall: s.epoch.Add(time.Duration(c.lastCall.Load())),
			Calls: c.calls.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		}
		c.mu.Lock()
		info.InFlight, info.Queued = c.inflight, c.out.queued
		c.mu.Unlock()
		infos = append(infos, info)
	}
	return infos
}
