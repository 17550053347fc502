package smb

import (
	"strings"
	"sync"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/spelling"
)

// spelling finds how a directory spells a name that it does not have as such. "": not at all.
func (m *message) spelling(dir causeway.Handle, a *causeway.Attr, folding names.Folding, name string) (stored string, err error) {
	s, key, now := &m.conn.srv.spellings, folding.Key(name), m.conn.srv.cfg.Now()
	if !names.LooksShort(name) && !causeway.NeedsACL(&m.caller.Cred, a) && causeway.Permit(&m.caller.Cred, a, causeway.MayRead) != 0 {
		if stored, known := s.Find(dir, a, key, now); known {
			return stored, nil
		}
	}
	if err := m.turnToList(); err != nil {
		return "", err
	}
	defer m.conn.srv.listings.leave(m.caller.Cred.UID)
	byKey, short := map[string]string{}, ""
	looksShort := names.LooksShort(name)
	listed, eof, err := m.conn.srv.cfg.Access.ReadDir(m.conn.ctx, &m.caller, dir, 0, gateway.WantNames, func(e *causeway.DirEntry) bool {
		k := folding.Key(e.Name)
		if k == key && stored == "" {
			stored = strings.Clone(e.Name)
		}
		if looksShort && short == "" && strings.EqualFold(names.Short(e.Name), name) {
			short = strings.Clone(e.Name)
		}
		spelling.Gather(byKey, k, e.Name)
		return true
	})
	if err != nil {
		return "", err
	}
	if stored == "" && short != "" {
		return short, nil
	}
	if eof && spelling.Same(&listed, a) {
		s.Listed(dir, a, byKey, now)
	}
	return stored, nil
}

// maxListings is how many directories are listed at a time for that: each takes memory for all names of one. A user has a part of them, so that
// one who asks for ever more names of a huge directory makes nobody else wait.
const (
	maxListings       = 8
	maxListingsOfUser = 2
)

// listings counts the directories that are listed.
type listings struct {
	mu   sync.Mutex
	all  int
	of   map[uint32]int
	less chan struct{} // closed when there are less
}

// enter counts one more; otherwise it returns what is closed when it is worth to try again.
func (l *listings) enter(uid uint32) (full <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all < maxListings && l.of[uid] < maxListingsOfUser {
		l.all++
		l.of[uid]++
		return nil
	}
	return l.less
}

func (l *listings) leave(uid uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.of[uid]--; l.of[uid] == 0 {
		delete(l.of, uid)
	}
	close(l.less)
	l.less = make(chan struct{})
}

// turnToList waits until one more may be listed.
func (m *message) turnToList() error {
	for {
		full := m.conn.srv.listings.enter(m.caller.Cred.UID)
		switch {
		case full == nil:
			return nil
		case m.reader:
			return causeway.ErrWouldBlock
		}
		select {
		case <-full:
		case <-m.conn.ctx.Done():
			return ntstatus.Cancelled
		}
	}
}
