package rpc

import (
	"context"
	"log/slog"

	"causeway/gateway/nfs/xdr"
)

// answer runs one call and writes its reply behind what c.Reply holds. c.NoWait, c.Datagram and the addresses are set. The result
// is Done (a reply of any kind was written), Park, Drop, or hangUp.
func (s *Server) answer(ctx context.Context, c *Call, groups *[maxGroups]uint32, record []byte) Verdict {
	start := c.Reply.Len()
	switch c.parse(record, groups) {
	case callGood:
		return s.dispatch(ctx, c, start)
	case callCut:
		s.counts.rejected.Add(1)
		return hangUp
	case callReply:
		s.counts.rejected.Add(1)
		return Drop
	case callVersion:
		rejectVersion(&c.Reply, c.XID)
	case callBadCred:
		rejectCred(&c.Reply, c.XID, authBadCred)
	case callBadVerf:
		rejectCred(&c.Reply, c.XID, authBadVerf)
	case callFlavor:
		rejectCred(&c.Reply, c.XID, authRejectedCred)
	}
	s.counts.rejected.Add(1)
	return Done
}

// hangUp is answer's verdict on what is no call: the peer does not speak RPC.
const hangUp Verdict = 255

// held is run's verdict on a call whose reply will be sent by somebody else.
const held Verdict = 254

// dispatch finds the program and lets it work.
func (s *Server) dispatch(ctx context.Context, c *Call, start int) Verdict {
	h := s.find(c)
	if h == nil {
		s.counts.rejected.Add(1)
		return Done
	}
	accept(&c.Reply, c.XID, acceptSuccess)
	verdict := h.Handle(ctx, c)
	if verdict != Park && s.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "a call has ended", slog.Any("client", c.Remote), slog.Uint64("xid", uint64(c.XID)),
			slog.Uint64("prog", uint64(c.Prog)), slog.Uint64("proc", uint64(c.Proc)), slog.Bool("answered", verdict == Done), slog.Any("call", c.Caller.Op))
	}
	switch verdict {
	case Done:
		return Done
	case Park:
		if c.NoWait {
			c.Reply.Truncate(start)
			c.releaseFile()
			return Park
		}
		verdict = SystemErr // a program that would wait though it may
	}
	c.Reply.Truncate(start)
	c.releaseFile()
	return s.refuse(&c.Reply, c.XID, verdict)
}

// refuse writes the reply of a verdict without a result.
func (s *Server) refuse(e *xdr.Encoder, xid uint32, v Verdict) Verdict {
	switch v {
	case Drop:
		return Drop
	case GarbageArgs:
		accept(e, xid, acceptGarbageArgs)
	case ProcUnavail:
		accept(e, xid, acceptProcUnavail)
	case AuthTooWeak:
		rejectCred(e, xid, authTooWeak)
	case AuthBadCred:
		rejectCred(e, xid, authBadCred)
	default:
		accept(e, xid, acceptSystemErr)
	}
	return Done
}

// find returns the handler of the call's program and version, or writes the reply that says that there is none.
func (s *Server) find(c *Call) Handler {
	programs := *s.programs.Load()
	for i := range programs {
		p := &programs[i]
		if p.number != c.Prog {
			continue
		}
		for _, v := range p.versions {
			if v.number == c.Vers {
				return v.handler
			}
		}
		acceptMismatch(&c.Reply, c.XID, p.versions[0].number, p.versions[len(p.versions)-1].number)
		return nil
	}
	accept(&c.Reply, c.XID, acceptProgUnavail)
	return nil
}

// releaseFile ends the borrowing of a range that is not sent.
func (c *Call) releaseFile() {
	if c.File.Hold != nil {
		c.File.Hold.Release()
		c.File.Hold = nil
	}
}
