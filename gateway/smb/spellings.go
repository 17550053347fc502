package smb

import (
	"strings"

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
	defer func() { <-m.conn.srv.listings }()
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

// maxListings is how many directories are listed at a time for that: each takes memory for all names of one.
const maxListings = 4

// turnToList waits until one more may be listed.
func (m *message) turnToList() error {
	s := m.conn.srv
	select {
	case s.listings <- struct{}{}:
		return nil
	default:
	}
	if m.reader {
		return causeway.ErrWouldBlock
	}
	select {
	case s.listings <- struct{}{}:
		return nil
	case <-m.conn.ctx.Done():
		return ntstatus.Cancelled
	}
}
