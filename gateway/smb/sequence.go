package smb

import (
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// sequence is what an open knows of the channels of its client that have failed ([MS-SMB2] 3.3.5.2.10): the client raises the number in its
// requests whenever it has lost one. What was sent before and comes late must not undo what was sent after. It is guarded by the open's
// lock.
type sequence struct {
	now      uint16
	current  int // requests at work with the number of now, and with those before
	previous int
}

// counted is a request that its open counts.
type counted struct {
	open   *open
	number uint16
}

// count counts a request of an open, and refuses a change that is too late, or may be done still by the request that it repeats.
func (m *message) count(o *open) error {
	if m.counted.open == o || m.conn.negotiated.dialect < wire.Dialect300 {
		return nil
	}
	changes := m.h.Command == wire.Write || m.h.Command == wire.SetInfo || m.h.Command == wire.IOCtl
	replay := m.h.Flags&wire.FlagReplay != 0
	o.mu.Lock()
	defer o.mu.Unlock()
	s := &o.sequence
	ahead := m.h.ChannelSequence - s.now
	if ahead > 1<<15-1 || replay && s.previous > 0 {
		if changes {
			return ntstatus.FileNotAvailable
		}
		return nil
	}
	if ahead > 0 {
		s.previous += s.current
		s.current, s.now = 0, m.h.ChannelSequence
	}
	s.current++
	m.counted = counted{o, s.now}
	return nil
}

// uncount says that the request is answered.
func (m *message) uncount() {
	o := m.counted.open
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.counted.number == o.sequence.now {
		o.sequence.current--
	} else {
		o.sequence.previous--
	}
	m.counted = counted{}
}
