package route

import (
	"context"
	"encoding/binary"

	"causeway"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/rpc"
)

// Remember keeps the answers to changes of NFSv3 that another gateway made for clients of this one. The gateway that makes a change
// remembers its answer too; when it dies, the client sends the call again to this one, and is told what it was told or would have
// been told.
type Remember struct {
	rpc.Handler // that may answer elsewhere
	Table       *Table
	Replies     *drc.Cache // of this handler alone
	Volume      func(c *rpc.Call) (causeway.VolumeID, bool)
}

var _ rpc.Handler = Remember{}

// jukebox is NFS3ERR_JUKEBOX: the change was not made, and is worth another try.
const jukebox = 10008

// changes reports whether a procedure must not be done twice: SETATTR, CREATE, MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR, RENAME, LINK
// (RFC 1813 §4.3).
func changes(proc uint32) bool { return proc == 2 || proc >= 8 && proc <= 15 }

// Handle answers from memory, or passes the call on.
func (r Remember) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	id, ok := r.Volume(c)
	if !ok || !changes(c.Proc) {
		return r.Handler.Handle(ctx, c)
	}
	key := drc.Key{Client: c.Remote.Addr().Unmap(), XID: c.XID, Prog: c.Prog, Vers: c.Vers, Proc: c.Proc,
		Sum: r.Replies.Sum(c.Args.Rest(), c.Cred.UID)}
	start := c.Reply.Len()
	switch first, state := r.Replies.Begin(key, nil); state {
	case drc.Running:
		return rpc.Drop
	case drc.Finished:
		c.Reply.Fixed(first)
		return rpc.Done
	}
	finished := false
	defer func() {
		if !finished {
			r.Replies.Abort(key)
		}
	}()
	verdict := r.Handler.Handle(ctx, c)
	reply := c.Reply.Bytes()[start:]
	if verdict != rpc.Done || len(reply) < 4 || binary.BigEndian.Uint32(reply) == jukebox || r.Table.Now(id).Here {
		return verdict // made here: remembered below
	}
	r.Replies.Finish(key, id, reply)
	finished = true
	return verdict
}
