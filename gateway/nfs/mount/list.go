package mount

import (
	"causeway"
	"causeway/gateway/nfs/rpc"
)

const (
	maxReply    = 256 << 10 // of a listing, in bytes
	maxDatagram = 1 << 10   // the same by UDP, where the asker may be forged; what does not fit is left out: ask by TCP
)

func limit(c *rpc.Call) int {
	if c.Datagram {
		return c.Reply.Len() + maxDatagram
	}
	return c.Reply.Len() + maxReply
}

// dump is DUMP (RFC 1813 §5.2.2): hosts and paths, for those who may mount something here.
func (s *Server) dump(c *rpc.Call) rpc.Verdict {
	if s.knows(c) {
		most := limit(c)
		for _, r := range s.mounts.list() {
			host := r.Client.String()
			if c.Reply.Len()+4+4+len(host)+3+4+len(r.Path)+3+4 > most {
				break
			}
			c.Reply.Bool(true)
			c.Reply.String(host)
			c.Reply.String(r.Path)
		}
	}
	c.Reply.Bool(false)
	return rpc.Done
}

func (s *Server) knows(c *rpc.Call) bool {
	for _, v := range s.guard.Catalog.Volumes() {
		if v.Rule(c.Remote.Addr()) != nil {
			return true
		}
	}
	return false
}

// unmount is UMNT (RFC 1813 §5.2.3).
func (s *Server) unmount(c *rpc.Call) rpc.Verdict {
	path := c.Args.String(maxPath)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	s.mounts.remove(Record{Client: c.Remote.Addr().Unmap(), Path: "/" + clean(path)})
	return rpc.Done
}

// exports is EXPORT (RFC 1813 §5.2.5): the volumes that the client may mount, each with all its networks.
func (s *Server) exports(c *rpc.Call) rpc.Verdict {
	most := limit(c)
	for _, v := range s.guard.Catalog.Volumes() {
		if v.Rule(c.Remote.Addr()) == nil {
			continue
		}
		start := c.Reply.Len()
		putExport(c, v)
		if c.Reply.Len()+4 > most {
			c.Reply.Truncate(start)
			break
		}
	}
	c.Reply.Bool(false)
	return rpc.Done
}

func putExport(c *rpc.Call, v *causeway.Volume) {
	c.Reply.Bool(true)
	c.Reply.String("/" + v.Name)
	for i := range v.Exports {
		c.Reply.Bool(true)
		c.Reply.String(v.Exports[i].Prefix.String())
	}
	c.Reply.Bool(false)
}
