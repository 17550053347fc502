// Package v3 serves NFS version 3 (RFC 1813, program 100003): it decodes a call, admits it to the volume, asks access or
// transfer, and encodes the answer. It decides no rights, keeps no objects open and knows neither nodes nor storage. Which
// client may use which volume is package export's, what a repeated call answers is package drc's.
//
// A procedure runs first on the goroutine that reads the socket, with NoWait: it parks, before any side effect, what would
// wait. That is every change of a volume whose changes are stable before the answer, every COMMIT and stable WRITE, bulk
// READs and WRITEs, and whatever an engine refuses with ErrWouldBlock.
package v3

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/internal/gate"
)

// Program and version of ONC RPC (RFC 1813 §1.5).
const (
	Program = 100003
	Version = 3
)

// Config says what a Server works with.
type Config struct {
	Guard    *export.Guard
	Access   gateway.Namespace
	Transfer gateway.Transfer
	Persist  gateway.Persister // makes changes stable, many at once; nil: each call waits for its own
	// Enter lets a change in that waits to be stable: it leaves when the volume may go elsewhere. nil: nobody waits for it.
	Enter   func(causeway.VolumeID) gate.Pass
	Replies *drc.Cache   // nil: a repeated call is done again
	Log     *slog.Logger // nil: silent
}

// Validate names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Guard == nil || c.Guard.Catalog == nil:
		return errors.New("v3: Guard and its Catalog are needed")
	case c.Access == nil:
		return errors.New("v3: Access is needed")
	case c.Transfer == nil:
		return errors.New("v3: Transfer is needed")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Server is the program.
type Server struct {
	guard    *export.Guard
	access   gateway.Namespace
	transfer gateway.Transfer
	stable   *stabilizer // nil: each call waits for its own changes
	replies  *drc.Cache
	log      *slog.Logger
	counts   [procedureCount][statuses]atomic.Uint64
}

var _ rpc.Handler = (*Server)(nil)

// New returns a Server.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{guard: cfg.Guard, access: cfg.Access, transfer: cfg.Transfer, replies: cfg.Replies, log: cfg.Log}
	if cfg.Persist != nil {
		s.stable = newStabilizer(cfg.Persist, cfg.Enter)
	}
	return s, nil
}

// procedure is a line of the dispatch table. Changes are not idempotent: their replies are remembered, and held until they are
// stable, unless the volume is async.
type procedure struct {
	name    string
	run     func(*Server, context.Context, *rpc.Call) rpc.Verdict
	changes bool
}

// Procedures whose results have another shape when they fail.
const (
	procRename = 14
	procLink   = 15
)

// procedures are those of RFC 1813 §3.3, by number; set in init, because they refer to themselves through Server.status.
const procedureCount = 22

var procedures [procedureCount]procedure

func init() {
	procedures = [...]procedure{
		{name: "NULL", run: (*Server).null},
		{name: "GETATTR", run: (*Server).getAttr},
		{name: "SETATTR", run: (*Server).setAttr, changes: true},
		{name: "LOOKUP", run: (*Server).lookup},
		{name: "ACCESS", run: (*Server).checkAccess},
		{name: "READLINK", run: (*Server).readLink},
		{name: "READ", run: (*Server).read},
		{name: "WRITE", run: (*Server).write},
		{name: "CREATE", run: (*Server).create, changes: true},
		{name: "MKDIR", run: (*Server).mkdir, changes: true},
		{name: "SYMLINK", run: (*Server).symlink, changes: true},
		{name: "MKNOD", run: (*Server).mknod, changes: true},
		{name: "REMOVE", run: (*Server).remove, changes: true},
		{name: "RMDIR", run: (*Server).rmdir, changes: true},
		{name: "RENAME", run: (*Server).rename, changes: true},
		{name: "LINK", run: (*Server).link, changes: true},
		{name: "READDIR", run: (*Server).readDir},
		{name: "READDIRPLUS", run: (*Server).readDirPlus},
		{name: "FSSTAT", run: (*Server).fsStat},
		{name: "FSINFO", run: (*Server).fsInfo},
		{name: "PATHCONF", run: (*Server).pathConf},
		{name: "COMMIT", run: (*Server).commit},
	}
}

// Handle serves one call.
func (s *Server) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	if c.Proc >= uint32(len(procedures)) {
		return rpc.ProcUnavail
	}
	p := &procedures[c.Proc]
	start := c.Reply.Len()
	var verdict rpc.Verdict
	switch {
	case !p.changes:
		verdict = p.run(s, ctx, c)
	case c.NoWait && !s.changesNow(c):
		verdict = rpc.Park
	default:
		verdict = s.change(ctx, c, p)
	}
	if verdict != rpc.Done {
		c.Reply.Truncate(start)
	}
	return verdict
}

func (s *Server) null(context.Context, *rpc.Call) rpc.Verdict { return rpc.Done }

// changesNow reports whether a change may run without waiting: it has nothing to wait for, or its reply may be held. What was
// asked for here holds, whatever the volume's settings are by the time when the change is made.
func (s *Server) changesNow(c *rpc.Call) bool {
	if s.async(c) {
		return true
	}
	c.MayLater = s.stable != nil && c.MayHold()
	return c.MayLater
}

// async peeks at the volume that a change is about: all of them begin with a handle of it.
func (s *Server) async(c *rpc.Call) bool {
	args := c.Args
	id, ok := fh.VolumeID(args.Opaque(maxHandle))
	if !ok {
		return false
	}
	v := s.guard.Catalog.ByID(id)
	return v != nil && v.Async
}

// change runs a change. If it is made but not stable yet, its reply is held.
func (s *Server) change(ctx context.Context, c *rpc.Call, p *procedure) rpc.Verdict {
	c.Later = gateway.Pending{}
	var verdict rpc.Verdict
	var remember func(reply []byte)
	start := c.Reply.Len()
	if s.replies == nil {
		verdict = p.run(s, ctx, c)
	} else {
		verdict, remember = s.once(ctx, c, p)
	}
	c.MayLater = false
	switch {
	case verdict != rpc.Done:
	case c.Later.Volume != 0:
		s.stable.add(c, start, remember, s.lost(c.Proc))
	case remember != nil:
		remember(c.Reply.Bytes()[start:])
	}
	return verdict
}

// lost returns what answers a change that was made but could not be made stable: an I/O error, and no attributes.
func (s *Server) lost(proc uint32) func(*xdr.Encoder) {
	return func(e *xdr.Encoder) {
		st := statusOf(causeway.ErrIO)
		s.counts[proc][st.index()].Add(1)
		e.Uint32(uint32(st))
		attributes := 2 // of wcc_data, or of post_op_attr and the first half of one
		switch proc {
		case procRename:
			attributes = 4
		case procLink:
			attributes = 3
		}
		for range attributes {
			e.Bool(false)
		}
	}
}

// once runs a change unless it is a retransmission. A call that is not admitted changes nothing: its refusal is not remembered,
// where the client's own call would find it, nor does it find what the client was answered.
//
// remember, if not nil, ends what was begun: with the reply, or with nil if nothing is to be remembered.
func (s *Server) once(ctx context.Context, c *rpc.Call, p *procedure) (v rpc.Verdict, remember func(reply []byte)) {
	args := c.Args
	peek := args
	if _, _, _, err := s.guard.Admit(c, peek.Opaque(maxHandle)); err != nil {
		return p.run(s, ctx, c), nil
	}
	key := drc.Key{
		Client: c.Remote.Addr().Unmap(), XID: c.XID, Prog: c.Prog, Vers: c.Vers, Proc: c.Proc,
		Sum: s.replies.Sum(args.Rest(), c.Cred.UID),
	}
	c.Op = s.replies.Op(key)
	defer func() { c.Op = causeway.OpID{} }()
	replayed, state := s.replies.Begin(key, nil)
	for state == drc.Running { // its reply may have gone to a connection that is no more
		if c.NoWait {
			return rpc.Park, nil
		}
		if !s.awaitFirst(ctx, c, key) {
			return rpc.Drop, nil
		}
		replayed, state = s.replies.Begin(key, nil)
	}
	if state == drc.Finished {
		copy(c.Reply.Reserve(len(replayed)), replayed)
		return rpc.Done, nil
	}
	defer func() {
		if remember == nil {
			s.replies.Abort(key) // parked, garbage, or a panic
		}
	}()
	if v = p.run(s, ctx, c); v != rpc.Done {
		return v, nil
	}
	return v, func(reply []byte) {
		if reply == nil || tryLater(reply) {
			s.replies.Abort(key)
			return
		}
		s.replies.Finish(key, reply)
	}
}

// firstWithin is how long a repetition waits for its first call. Then the client asks once more.
const firstWithin = 30 * time.Second

// awaitFirst waits until the first call has ended; false if nobody waits for the answer any more.
func (s *Server) awaitFirst(ctx context.Context, c *rpc.Call, key drc.Key) bool {
	ended := s.replies.Ended(key)
	if ended == nil {
		return true
	}
	limit, look := time.NewTimer(firstWithin), time.NewTicker(time.Second)
	defer limit.Stop()
	defer look.Stop()
	for {
		select {
		case <-ended:
			return true
		case <-look.C:
			if c.Abandoned() {
				return false
			}
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// parks reports whether a call must be parked because an engine would have had to wait.
func parks(c *rpc.Call, err error) bool {
	return c.NoWait && err != nil && causeway.CodeOf(err) == causeway.ErrWouldBlock
}
