package relay

import "causeway/gateway/nfs/rpc"

// What is answered for a volume that has no owner in time: to come again.
const (
	nfsJukebox     = 10008 // NFS3ERR_JUKEBOX
	nlmGracePeriod = 4     // LCK_DENIED_GRACE_PERIOD
	mountIO        = 5     // MNT3ERR_IO: clients try again
)

// failures are the results of NFS procedures that failed, by number: how many empty attributes (4 bytes of zero each) follow the
// status (RFC 1813 §3.3), and whether the procedure must not be done twice.
var failures = [22]struct {
	empty   int
	changes bool
}{
	1: {0, false},                                            // GETATTR
	2: {2, true},                                             // SETATTR
	3: {1, false},                                            // LOOKUP
	4: {1, false},                                            // ACCESS
	5: {1, false},                                            // READLINK
	6: {1, false},                                            // READ
	7: {2, false},                                            // WRITE
	8: {2, true}, 9: {2, true}, 10: {2, true}, 11: {2, true}, // CREATE, MKDIR, SYMLINK, MKNOD
	12: {2, true}, 13: {2, true}, // REMOVE, RMDIR
	14: {4, true},                  // RENAME
	15: {3, true},                  // LINK
	16: {1, false}, 17: {1, false}, // READDIR, READDIRPLUS
	18: {1, false}, 19: {1, false}, 20: {1, false}, // FSSTAT, FSINFO, PATHCONF
	21: {2, false}, // COMMIT
}

// refuse answers a call that no owner answered. One that may have been executed, and must not be twice, gets no answer: after
// "come again" a client takes another xid, and would be told that its file does not exist.
func refuse(c *rpc.Call, uncertain bool) rpc.Verdict {
	switch {
	case c.Prog == nfs && int(c.Proc) < len(failures):
		f := failures[c.Proc]
		if uncertain && f.changes {
			return rpc.Drop
		}
		c.Reply.Uint32(nfsJukebox)
		for range f.empty {
			c.Reply.Uint32(0)
		}
		return rpc.Done
	case c.Prog == mount && c.Proc == mountMnt:
		c.Reply.Uint32(mountIO)
		return rpc.Done
	case c.Prog == nlm:
		return refuseLock(c)
	}
	return rpc.Drop
}

func refuseLock(c *rpc.Call) rpc.Verdict {
	args := c.Args
	cookie := args.Opaque(maxNetobj)
	if !args.OK() {
		return rpc.GarbageArgs
	}
	switch c.Proc {
	case nlmTest, nlmLock, nlmCancel, nlmUnlock, nlmNMLock:
		c.Reply.Opaque(cookie)
		c.Reply.Uint32(nlmGracePeriod)
		return rpc.Done
	case nlmShare, nlmUnshare:
		c.Reply.Opaque(cookie)
		c.Reply.Uint32(nlmGracePeriod)
		c.Reply.Uint32(0) // sequence
		return rpc.Done
	}
	return rpc.Done // a _MSG: the call that would be its answer does not come
}
