package smb

import (
	"strings"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/names"
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
	byKey := map[string]string{}
	listed, eof, err := m.conn.srv.cfg.Access.ReadDir(m.conn.ctx, &m.caller, dir, 0, gateway.WantNames, func(e *causeway.DirEntry) bool {
		if k := folding.Key(e.Name); byKey[k] == "" {
			byKey[strings.Clone(k)] = strings.Clone(e.Name)
		}
		return true
	})
	if err != nil {
		return "", err
	}
	if names.LooksShort(name) && byKey[key] == "" {
		for _, stored := range byKey {
			if strings.EqualFold(names.Short(stored), name) {
				return stored, nil
			}
		}
	}
	if eof && spelling.Same(&listed, a) {
		s.Listed(dir, a, byKey, now)
	}
	return byKey[key], nil
}
