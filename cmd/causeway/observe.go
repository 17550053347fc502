package main

import (
	"context"
	"encoding/binary"
	"time"

	"causeway/admin"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
	"causeway/redirect/demand"
)

// programs name what is counted.
var programs = []admin.Program{
	{Number: 100003, Version: 3, Name: "nfs", Procedures: []string{"NULL", "GETATTR", "SETATTR", "LOOKUP", "ACCESS", "READLINK", "READ",
		"WRITE", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "REMOVE", "RMDIR", "RENAME", "LINK", "READDIR", "READDIRPLUS", "FSSTAT", "FSINFO",
		"PATHCONF", "COMMIT"}}, // RFC 1813 §3.3
	{Number: 100005, Version: 1, Name: "mount", Procedures: mountProcedures},
	{Number: 100005, Version: 3, Name: "mount", Procedures: mountProcedures},
	{Number: 100021, Version: 4, Name: "nlm", Procedures: nlmProcedures},
	{Number: 100021, Version: 3, Name: "nlm", Procedures: nlmProcedures},
	{Number: 100021, Version: 1, Name: "nlm", Procedures: nlmProcedures},
	{Number: 100024, Version: 1, Name: "nsm", Procedures: []string{"NULL", "STAT", "MON", "UNMON", "UNMON_ALL", "SIMU_CRASH", "NOTIFY"}},
	{Number: 100000, Version: 2, Name: "portmap", Procedures: []string{"NULL", "SET", "UNSET", "GETPORT", "DUMP", "CALLIT"}},
	{Number: 100000, Version: 3, Name: "portmap", Procedures: rpcbindProcedures},
	{Number: 100000, Version: 4, Name: "portmap", Procedures: rpcbindProcedures},
}

var (
	mountProcedures = []string{"NULL", "MNT", "DUMP", "UMNT", "UMNTALL", "EXPORT"} // RFC 1813 §5.2
	nlmProcedures   = []string{"NULL", "TEST", "LOCK", "CANCEL", "UNLOCK", "GRANTED", "TEST_MSG", "LOCK_MSG", "CANCEL_MSG", "UNLOCK_MSG",
		"GRANTED_MSG", "TEST_RES", "LOCK_RES", "CANCEL_RES", "UNLOCK_RES", "GRANTED_RES", "SM_NOTIFY", "17", "18", "19", "SHARE", "UNSHARE",
		"NM_LOCK", "FREE_ALL"}
	rpcbindProcedures = []string{"NULL", "SET", "UNSET", "GETADDR", "DUMP", "BCAST", "GETTIME", "UADDR2TADDR", "TADDR2UADDR",
		"GETVERSADDR", "INDIRECT", "GETADDRLIST", "GETSTAT"} // RFC 1833 §2.1
)

// verdicts name rpc.Verdict.
var verdicts = []string{rpc.Done: "done", rpc.Park: "parked", rpc.Drop: "dropped", rpc.GarbageArgs: "garbage_args",
	rpc.ProcUnavail: "proc_unavail", rpc.SystemErr: "system_err", rpc.AuthTooWeak: "auth_too_weak", rpc.AuthBadCred: "auth_bad_cred"}

// statuses name nfsstat3 (RFC 1813 §2.6); mountstat3 has the same numbers.
var statuses = map[uint32]string{0: "ok", 1: "perm", 2: "noent", 5: "io", 6: "nxio", 13: "acces", 17: "exist", 18: "xdev", 19: "nodev",
	20: "notdir", 21: "isdir", 22: "inval", 27: "fbig", 28: "nospc", 30: "rofs", 31: "mlink", 63: "nametoolong", 66: "notempty",
	69: "dquot", 70: "stale", 71: "remote", 10001: "badhandle", 10002: "not_sync", 10003: "bad_cookie", 10004: "notsupp",
	10005: "toosmall", 10006: "serverfault", 10007: "badtype", 10008: "jukebox"}

func newMetrics() *admin.Metrics {
	return admin.NewMetrics(admin.MetricsConfig{Programs: programs, Verdicts: verdicts, Statuses: statuses})
}

// observer passes what the RPC server sees to the metrics.
type observer struct{ *admin.Metrics }

// Observe counts a call.
func (o observer) Observe(prog, vers, proc uint32, v rpc.Verdict, d time.Duration, in, out int) {
	o.Metrics.Observe(prog, vers, proc, uint8(v), d, in, out)
}

// answered counts the statuses with which a program's replies begin. Procedure 0 has none.
type answered struct {
	rpc.Handler
	metrics *admin.Metrics
}

// Handle passes the call on and looks at what was answered.
func (a answered) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	at := c.Reply.Len()
	v := a.Handler.Handle(ctx, c)
	if v == rpc.Done && c.Proc != 0 {
		if b := c.Reply.Bytes(); len(b) >= at+4 {
			a.metrics.Answered(c.Prog, c.Vers, c.Proc, binary.BigEndian.Uint32(b[at:]))
		}
	}
	return v
}

// measured counts the calls that name an object of a volume, for that volume.
type measured struct {
	rpc.Handler
	volumes *volumes
	book    *demand.Book
}

// Handle passes the call on. Every NFSv3 procedure but NULL begins with a handle (RFC 1813 §3.3).
func (m measured) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	args := c.Args
	in, at := len(args.Rest()), c.Reply.Len()
	id, ok := fh.VolumeID(args.Opaque(64))
	v := m.Handler.Handle(ctx, c)
	if v == rpc.Done && ok {
		m.volumes.observe(id, in, c.Reply.Len()-at+c.File.N)
		m.book.Add(demand.Key{Client: c.Remote.Addr().Unmap(), Volume: id, Protocol: "nfs"}, in+c.Reply.Len()-at+c.File.N)
	}
	return v
}
