// Package mount serves the MOUNT protocol (RFC 1813 Appendix I, program 100005 version 3, and what old tools use of version
// 1, RFC 1094 Appendix A): it turns the path of an export into its first filehandle, and remembers who asked. It decides
// nothing else: the records are for people to look at, and a handle is good without one.
//
// What is exported is told only to those who may mount it. A host gets the same answer, ACCES, for a volume that has no rule
// for it and for one that does not exist: else the names of volumes could be guessed. Clients print both as "access denied".
package mount

import (
	"context"
	"errors"

	"causeway/gateway"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/rpc"
	"causeway/internal/setting"
)

// Program and versions of ONC RPC.
const (
	Program    = 100005
	Version1   = 1
	Version3   = 3
	maxPath    = 1024 // MNTPATHLEN
	maxRecords = 4096 // default of Config.MaxRecords
)

// Config says what a Server works with.
type Config struct {
	Guard      *export.Guard
	Access     gateway.Namespace
	MaxRecords int // mounts remembered at most; the oldest are forgotten; default 4096
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Guard == nil || c.Guard.Catalog == nil:
		return errors.New("mount: Guard and its Catalog are needed")
	case c.Access == nil:
		return errors.New("mount: Access is needed")
	}
	return setting.Positive("mount: MaxRecords", &c.MaxRecords, maxRecords)
}

// Server is the program in all its versions: register it for Version1 and Version3.
type Server struct {
	guard  *export.Guard
	access gateway.Namespace
	mounts mounts
}

var _ rpc.Handler = (*Server)(nil)

// New returns a Server.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{guard: cfg.Guard, access: cfg.Access, mounts: mounts{limit: cfg.MaxRecords}}, nil
}

// Handle serves one call (RFC 1813 §5.2; the procedures have the same numbers in both versions).
func (s *Server) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	start := c.Reply.Len()
	verdict := rpc.ProcUnavail
	switch c.Proc {
	case 0:
		verdict = rpc.Done
	case 1:
		verdict = s.mount(ctx, c)
	case 2:
		verdict = s.dump(c)
	case 3:
		verdict = s.unmount(c)
	case 4:
		s.mounts.removeAll(c.Remote.Addr().Unmap())
		verdict = rpc.Done
	case 5:
		verdict = s.exports(c)
	}
	if verdict != rpc.Done {
		c.Reply.Truncate(start)
	}
	return verdict
}
