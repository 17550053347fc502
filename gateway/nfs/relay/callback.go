package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	lockd "causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// A client listens for its lock manager's calls to the server that it has mounted, by address. So the owner of a volume has such
// a call made by the gateway that has the address.

// Procedures by which servers call clients.
const (
	nlmGranted, nlmGrantedMsg = 5, 10
	nlmTestRes, nlmUnlockRes  = 11, 14
)

// isCallback reports whether a server makes such a call: peers may have no others made.
func isCallback(c *rpc.Call) bool {
	switch c.Prog {
	case nlm:
		return c.Proc == nlmGranted || c.Proc == nlmGrantedMsg || c.Proc >= nlmTestRes && c.Proc <= nlmUnlockRes
	case nsm:
		return c.Proc == nsmNotify
	}
	return false
}

// CallBack has a peer make a call to a client; see the CallClient of package nlm.
func (p *Peers) CallBack(ctx context.Context, peer string, cb lockd.Callback) ([]byte, error) {
	c := &rpc.Call{
		Prog: cb.Prog, Vers: cb.Vers, Proc: cb.Proc, Datagram: cb.Datagram,
		Remote: netip.AddrPortFrom(cb.Remote, 0), Local: netip.AddrPortFrom(cb.Local, 0), Args: xdr.NewDecoder(cb.Args),
	}
	w := watch{look: time.NewTimer(lastLook), over: func() bool { return false }}
	defer w.look.Stop()
	verdict, what := p.exchange(ctx, peer, request{kind: kindCallback}, c, &w)
	switch {
	case what != answered:
		return nil, fmt.Errorf("a client was not called: %s cannot be asked", peer)
	case verdict == rpc.ProcUnavail:
		return nil, rpc.ErrProcUnavail
	case verdict != rpc.Done:
		return nil, fmt.Errorf("a client does not answer %s", peer)
	}
	return c.Reply.Bytes(), nil
}

// callBack makes a call to a client for a peer.
func (j *job) callBack(ctx context.Context) answer {
	c, s := &j.call, j.conn.srv
	if s.cfg.CallClient == nil || !isCallback(c) {
		return answer(rpc.SystemErr)
	}
	result, err := s.cfg.CallClient(ctx, lockd.Callback{
		Datagram: c.Datagram, Local: c.Local.Addr(), Remote: c.Remote.Addr(),
		Prog: c.Prog, Vers: c.Vers, Proc: c.Proc, Args: bytes.Clone(c.Args.Rest()),
	})
	switch {
	case errors.Is(err, rpc.ErrProcUnavail):
		return answer(rpc.ProcUnavail)
	case err != nil:
		s.cfg.Log.Debug("callback failed", "node", j.conn.name, "client", c.Remote.Addr().String(), "err", err)
		return answer(rpc.SystemErr)
	}
	copy(c.Reply.Reserve(len(result)), result)
	return answer(rpc.Done)
}
