package cluster

import "time"

// Left returns for how long this gateway is certainly a member, if it cannot prolong its lease; not positive if it is none now. The
// margin by which it stops before others may take its place is not counted in.
func (c *Cluster) Left() time.Duration { return c.lease.left() }

func (l *lease) left() time.Duration {
	return time.Duration(l.deadline.Load()) - l.clock()
}
