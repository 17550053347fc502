package address

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"causeway"
)

// holding is an address and what this machine has to do with it. Hold and Drop take turns; the keeper goroutine of a held
// address belongs to whoever has the turn, and ends by itself only by letting the address lapse.
type holding struct {
	addr netip.Addr
	turn chan struct{} // holds a token while an operation is under way
	wake chan struct{} // tells the keeper that something changed
	stop func()        // ends the keeper; nil if there was never one
	done chan struct{} // closed when the keeper has ended

	mu    sync.Mutex
	state State
	place place
}

func (h *holding) now() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

func (h *holding) become(s State, p place) {
	h.mu.Lock()
	h.state, h.place = s, p
	h.mu.Unlock()
}

func (h *holding) where() place {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.place
}

// begin waits for the turn.
func (h *holding) begin(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *holding) end() { <-h.turn }

// Hold makes this machine answer for addr; holding it again is no error. It takes about Config.Probe. It fails with a
// *ConflictError (ErrBusy) if another machine answers for addr, with ErrNoDev if no interface has a network that contains it,
// and with ErrPerm if this process is not entitled to it, or slept through the operation; then nothing has changed.
// An address that the operator has configured on this machine is only listened on, and is Fixed.
func (m *Manager) Hold(ctx context.Context, addr netip.Addr) error {
	return m.hold(ctx, "hold", addr, false)
}

// TakeOver is Hold without looking for another holder: its gateway is known to be dead or fenced, and if its kernel still
// answers, it will stop within the lifetime. A Conflict event follows if it does not.
func (m *Manager) TakeOver(ctx context.Context, addr netip.Addr) error {
	return m.hold(ctx, "take over", addr, true)
}

func (m *Manager) hold(ctx context.Context, op string, addr netip.Addr, force bool) error {
	h, err := m.holding(op, addr)
	if err != nil {
		return err
	}
	if err := h.begin(ctx); err != nil {
		return failure(op, addr, causeway.ErrDelay, err)
	}
	defer h.end()
	if h.now() != Free {
		return nil
	}
	if h.done != nil {
		<-h.done // a keeper that lets the address lapse
	}
	if m.isClosed() {
		return failure(op, addr, causeway.ErrClosed, nil)
	}
	if m.machine == nil || addr.IsLoopback() {
		return m.listenOnly(op, h, Listening, place{})
	}
	return m.acquire(ctx, op, h, force)
}

func (m *Manager) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// listenOnly ends a Hold that needs no change to the machine.
func (m *Manager) listenOnly(op string, h *holding, s State, p place) error {
	if err := m.cfg.Listener.Listen(h.addr); err != nil {
		return failure(op, h.addr, causeway.CodeOf(err), err)
	}
	h.become(s, p)
	m.tell(Event{Kind: Taken, Addr: h.addr, State: s, Interface: p.name})
	return nil
}

// acquire brings an address to this machine: probe, listen, add, announce.
func (m *Manager) acquire(ctx context.Context, op string, h *holding, force bool) error {
	begun := m.cfg.Clock()
	p, err := m.machine.survey(h.addr, m.cfg.Interface, m.cfg.Lifetime)
	if err != nil {
		return failure(op, h.addr, causeway.CodeOf(err), err)
	}
	if p.present && !p.ours {
		return m.listenOnly(op, h, Fixed, p)
	}
	if !force && !p.present {
		if err := m.vacant(ctx, p, h.addr, m.cfg.Probe); err != nil {
			return failure(op, h.addr, causeway.CodeOf(err), err)
		}
	}
	if err := m.machine.bury(h.addr); err != nil {
		m.cfg.Logger.Warn("old connections at a service address stay: their clients may be slow to connect again", "addr", h.addr, "err", err)
	}
	if err := m.cfg.Listener.Listen(h.addr); err != nil {
		return failure(op, h.addr, causeway.CodeOf(err), err)
	}
	added, err := m.add(ctx, h, p, begun)
	if err != nil {
		err = errors.Join(err, m.cfg.Listener.Close(h.addr))
		return failure(op, h.addr, causeway.CodeOf(err), err)
	}
	h.become(Held, p)
	m.tell(Event{Kind: Taken, Addr: h.addr, State: Held, Interface: p.name})
	if err := m.machine.announce(p, h.addr); err != nil { // said again by the keeper
		m.cfg.Logger.Warn("cannot announce a service address", "addr", h.addr, "interface", p.name, "err", err)
	}
	m.startKeeper(h, added, force)
	return nil
}

// vacant fails if another machine answers for addr.
func (m *Manager) vacant(ctx context.Context, p place, addr netip.Addr, wait time.Duration) error {
	holder, err := m.machine.probe(ctx, p, addr, wait)
	if err != nil {
		return err
	}
	if holder != "" {
		return &causeway.Error{Op: "probe", Code: causeway.ErrBusy, Err: &ConflictError{Addr: addr, Holder: holder}}
	}
	return nil
}

// errAsleep means that the process was stopped, so that what it was told may not hold any more.
var errAsleep = &causeway.Error{Op: "add", Code: causeway.ErrPerm, Err: errors.New("the process was stopped meanwhile and must be told again")}

var errNotEntitled = &causeway.Error{Op: "add", Code: causeway.ErrPerm, Err: errors.New("this gateway is not entitled to the address now")}

// add adds the address and returns a time before that. It takes it away again if the process was stopped since begun: the
// kernel has no operation that depends on the time, so the clock is looked at afterwards.
func (m *Manager) add(ctx context.Context, h *holding, p place, begun time.Duration) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !m.cfg.Entitled(h.addr) || m.cfg.Left() < m.cfg.Lifetime {
		return 0, errNotEntitled
	}
	before := m.cfg.Clock()
	if before-begun > m.cfg.Lifetime+m.cfg.Probe {
		return 0, errAsleep
	}
	if err := m.machine.put(p, h.addr, m.cfg.Lifetime, !p.present); err != nil {
		return 0, err
	}
	if m.cfg.Clock()-begun > m.cfg.Lifetime+m.cfg.Probe {
		return 0, errors.Join(errAsleep, m.machine.remove(p, h.addr))
	}
	m.guard(p, h.addr)
	return before, nil
}

func (m *Manager) guard(p place, addr netip.Addr) {
	if err := m.cfg.Guard.add(p.index, addr); err != nil {
		m.cfg.Logger.Warn("if this process is killed, clients of a service address will be told", "addr", addr, "err", err)
	}
}

// Drop makes this machine stop answering for addr: first the address goes, then the listener closes. Dropping what is not
// held is no error. A Fixed address is refused with a *FixedError (ErrPerm) and stays listened on.
func (m *Manager) Drop(ctx context.Context, addr netip.Addr) error {
	h, err := m.holding("drop", addr)
	if causeway.CodeOf(err) == causeway.ErrClosed {
		return nil
	}
	if err != nil {
		return err
	}
	return m.drop(ctx, h, false)
}

// drop is Drop; closing, it also closes the listener of a fixed address. If the address cannot be removed, it is not renewed
// any more, so that it is gone after its lifetime.
func (m *Manager) drop(ctx context.Context, h *holding, closing bool) error {
	if err := h.begin(ctx); err != nil {
		return failure("drop", h.addr, causeway.ErrDelay, err)
	}
	defer h.end()
	if h.stop != nil {
		h.stop()
		<-h.done
	}
	p, state := h.where(), h.now()
	if state == Fixed && !closing {
		return failure("drop", h.addr, causeway.ErrPerm, &FixedError{Addr: h.addr, Interface: p.name})
	}
	if state == Free {
		return nil
	}
	var err error
	if state == Held {
		err = m.take(h.addr, p)
	}
	err = errors.Join(err, m.cfg.Listener.Close(h.addr))
	h.become(Free, place{})
	m.tell(Event{Kind: Dropped, Addr: h.addr, State: Free, Interface: p.name, Err: err})
	if err != nil {
		return failure("drop", h.addr, causeway.CodeOf(err), err)
	}
	return nil
}

// take removes the address from where it was put, unless it has become the operator's own.
func (m *Manager) take(addr netip.Addr, was place) error {
	defer m.cfg.Guard.drop(addr)
	p, err := m.machine.survey(addr, was.name, m.cfg.Lifetime)
	switch {
	case errors.Is(err, causeway.ErrNoDev): // the interface is gone, and the address with it
		return nil
	case err != nil:
		return errors.Join(err, m.machine.remove(was, addr))
	case !p.present:
		return nil
	case !p.ours:
		return &causeway.Error{Op: "remove", Code: causeway.ErrPerm, Err: &FixedError{Addr: addr, Interface: p.name}}
	}
	return m.machine.remove(p, addr)
}
