package nlm

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/internal/sleep"
)

// notifyAtOnce is how many clients are told of a restart at the same time.
const notifyAtOnce = 32

// notify tells a client that its locks were lost (SM_NOTIFY), again and again until it answers or the time is over. It speaks by
// UDP: status monitors of Linux listen to nothing else.
func (s *Service) notify(h *host, r Record) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.NotifyTimeout)
	defer cancel()
	told := false
	for pause := s.cfg.RetryMin; !told && ctx.Err() == nil; pause = min(2*pause, 2*s.cfg.RetryMax) {
		select {
		case s.turns <- struct{}{}:
			told = s.notifyOnce(ctx, r)
			<-s.turns
		case <-ctx.Done():
		}
		if told {
			break
		}
		sleep.For(ctx, pause)
	}
	s.mu.Lock()
	h.notifying = false
	h.used = time.Now()
	if told {
		s.counts.Notified++
	} else {
		s.counts.NotifyFailures++
	}
	s.mu.Unlock()
	if told {
		s.cfg.Log.Debug("client was told of the restart", "client", h.name)
		s.cfg.Told(h.name)
	} else if s.ctx.Err() == nil {
		s.cfg.Log.Warn("client could not be told that its locks were lost", "client", h.name)
	}
}

// notifyOnce speaks from each address of ours that the client knows, with each name that it may know us by: it compares the
// sender's address, or the name, or both. One answer is enough.
func (s *Service) notifyOnce(ctx context.Context, r Record) (told bool) {
	locals := r.Locals
	if len(locals) == 0 {
		locals = []netip.Addr{{}}
	}
	for _, local := range locals {
		if err := s.notifyFrom(ctx, r.Addr, local); err != nil {
			s.cfg.Log.Debug("client does not answer", "client", r.Client(), "op", "notify", "err", err)
			continue
		}
		told = true
	}
	return told
}

func (s *Service) notifyFrom(ctx context.Context, to, local netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	var conn *rpc.Client
	tell := func(args func(*xdr.Encoder)) error {
		if conn == nil {
			at, err := s.cfg.Portmap.Find(ctx, "udp", local, to, NSMProgram, 1)
			if err != nil {
				return err
			}
			if conn, err = rpc.Dial(ctx, "udp", netip.AddrPortFrom(local, 0), at); err != nil {
				return err
			}
		}
		return conn.Call(ctx, NSMProgram, 1, smNotify, nil, args, nil)
	}
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	names := []string{s.cfg.Name}
	if local.IsValid() && local.String() != s.cfg.Name {
		names = append(names, local.String())
	}
	var errs error
	for i, name := range names {
		err := tell(func(e *xdr.Encoder) {
			e.String(name)
			e.Uint32(s.cfg.Records.State())
		})
		if err == nil && i == len(names)-1 {
			return nil
		}
		errs = errors.Join(errs, err)
	}
	return errs
}
