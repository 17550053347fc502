package client

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/client/clientpb"
	"causeway/internal/sleep"
	"causeway/redirect"
)

// errPath says that a gateway did not answer.
var errPath = errors.New("the gateway does not answer")

// errSilent is why a call was given up.
var errSilent = errors.New("no answer to a ping")

// How long is waited before a call that a gateway could not answer yet is repeated: from the first to the last.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = 100 * time.Millisecond
)

// heldUp is for how long nothing may come from a gateway whose machine takes in what is sent to it, in Config.Suspect: 2.5 s. A process that was
// killed has its connections closed, and a machine that died takes in nothing.
const heldUp = 10

// outcome is how a gateway answered: a causeway.Code, and its text.
type outcome interface {
	GetCode() uint32
	GetCause() string
}

// call is one call at one gateway.
type call func(context.Context, clientpb.FilesClient) (outcome, error)

// do makes a call until it is answered, by one gateway or another, and returns which. prefer is where it is tried first; "": the path of
// the volume that is in use.
func (c *Client) do(ctx context.Context, volume, prefer string, what call) (gateway string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Patience, causeway.ErrDelay)
	defer cancel()
	doubt := false
	for wait := firstWait; ; {
		gateway = c.path(volume, prefer)
		if gateway != "" {
			err = c.once(ctx, gateway, what)
			switch {
			case errors.Is(err, errPath):
				doubt = true
				if ctx.Err() == nil && c.Ways()&redirect.WayFailOver != 0 {
					prefer = ""
					continue
				}
			case !again(err):
				if doubt && err != nil {
					err = &doubtful{err}
				}
				return gateway, err
			}
			doubt = doubt || errors.Is(err, causeway.ErrDelay)
		}
		if err := c.pause(ctx, wait); err != nil {
			return gateway, err
		}
		wait = min(2*wait, lastWait)
	}
}

// doubtful is the answer to a call that was made before without an answer: a gateway that died may have made the change and told nobody, so
// that its repetition finds what it has made itself.
type doubtful struct{ error }

func (d *doubtful) Unwrap() error { return d.error }

// isDoubtful reports whether an error is of a code, and may come from the call itself.
func isDoubtful(err error, code causeway.Code) bool {
	d := (*doubtful)(nil)
	return errors.As(err, &d) && errors.Is(err, code)
}

// again reports whether a call that ended so is repeated: nothing was done, or what was done will be answered the next time.
func again(err error) bool {
	switch causeway.CodeOf(err) {
	case causeway.ErrDelay, causeway.ErrStaleEpoch, causeway.ErrMoved, causeway.ErrClosed, causeway.ErrGrace, causeway.ErrWouldBlock:
		return true
	}
	return false
}

// path is the gateway for the next try; "": none answers.
func (c *Client) path(volume, prefer string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if prefer != "" {
		for _, p := range c.paths.All(volume) {
			if p.Gateway == prefer && p.State == redirect.Valid {
				return prefer
			}
		}
	}
	if p, ok := c.paths.Current(volume); ok {
		if c.used[volume] != p.Gateway {
			c.used[volume] = p.Gateway
			c.doubt()
		}
		return p.Gateway
	}
	if c.Ways()&redirect.WayFailOver == 0 && len(c.known) > 0 {
		return c.known[0]
	}
	return ""
}

// once makes a call at a gateway. Its error is the gateway's answer, errPath if there is none, or the context's.
func (c *Client) once(ctx context.Context, gateway string, what call) error {
	l, err := c.link(gateway)
	if err != nil {
		return err
	}
	attempt, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	suspicion := time.AfterFunc(c.cfg.Suspect, func() { c.suspect(attempt, l, cancel) })
	defer suspicion.Stop()
	r, err := what(attempt, l.files)
	if err == nil {
		err = answer(r)
		if d, ok := r.(interface{ GetDoubtful() bool }); ok && d.GetDoubtful() && err != nil {
			err = &doubtful{err}
		}
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s := status.Code(err); s == codes.Unimplemented || s == codes.ResourceExhausted || s == codes.InvalidArgument {
		return &causeway.Error{Op: "client", Code: causeway.ErrNotSupp, Err: err}
	}
	c.failed(gateway, err)
	return errPath
}

// answer is the error that a reply tells.
func answer(r outcome) error {
	switch code := r.GetCode(); {
	case code == 0:
		return nil
	case code > 255 || !causeway.Code(code).Known():
		return causeway.ErrServerFault
	case r.GetCause() == "":
		return causeway.Code(code)
	default:
		return &causeway.Error{Op: "gateway", Code: causeway.Code(code), Err: errors.New(r.GetCause())}
	}
}

// suspect watches over a call that was not answered yet. It pings a gateway of which nothing was heard for a while, and gives the call up if
// nothing comes then either. While data come, late as they may be, the gateway lives.
func (c *Client) suspect(ctx context.Context, l *link, giveUp context.CancelCauseFunc) {
	for ctx.Err() == nil {
		// A gateway that is held up is waited for a little longer: if all of its clients left it, the others would be held up.
		if c.silent(&l.heard) >= c.cfg.Suspect && !c.lives(ctx, l) && !(c.silent(&l.heard) < heldUp*c.cfg.Suspect && l.held()) {
			giveUp(errSilent)
			return
		}
		sleep.For(ctx, c.cfg.Suspect)
	}
}

// failed marks the paths through a gateway.
func (c *Client) failed(gateway string, err error) {
	c.mu.Lock()
	c.paths.Fail(gateway, time.Now())
	c.mu.Unlock()
	c.doubt()
	c.cfg.Log.Warn("a gateway does not answer", "gateway", gateway, "err", err)
}

// doubt says that files make what they have written stable before they are read again: a gateway that has some of it has failed, may have been
// replaced by another one at its address, or is left, so that its death would not be noticed.
func (c *Client) doubt() { c.doubts.Add(1) }

// newOp names a change, so that it is done once however often it is repeated.
func newOp() []byte {
	op := make([]byte, 16)
	rand.Read(op) // never fails
	return op
}

// ask makes a call with a Request.
func (c *Client) ask(ctx context.Context, volume string, r *clientpb.Request, method func(clientpb.FilesClient, context.Context, *clientpb.Request) (*clientpb.Reply, error)) (reply *clientpb.Reply, err error) {
	r.Caller = c.caller
	_, err = c.do(ctx, volume, "", func(ctx context.Context, files clientpb.FilesClient) (outcome, error) {
		m, err := method(files, ctx, r)
		reply = m
		if err == nil && !again(answer(m)) {
			return m, err
		}
		repeated := proto.Clone(r).(*clientpb.Request) // the first may still be about to be sent
		repeated.Doubtful = true
		r = repeated
		return m, err
	})
	return reply, err
}

// pause waits before a call is made again, for as long as somebody wants it.
func (c *Client) pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.life.Done():
		return causeway.ErrClosed
	}
}
