package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// scan is how far an open directory was listed.
type scan struct {
	pattern *names.Pattern
	cookie  uint64
	begun   bool // something was listed
	ended   bool
}

// queryDirectory is [MS-SMB2] 3.3.5.18.
func (m *message) queryDirectory() error {
	var r wire.QueryDirectoryRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if !m.affords(r.Room) {
		return ntstatus.InvalidParameter
	}
	r.Room = min(r.Room, maxTransfer) // some ask for more than was negotiated
	if err := m.find(r.File); err != nil {
		return err
	}
	o := m.open
	switch {
	case o.pipe != nil || !o.dir:
		return ntstatus.InvalidParameter
	case o.access&wire.AccessReadData == 0:
		return ntstatus.AccessDenied
	}
	if !o.listing.TryLock() {
		if err := m.mayWait(); err != nil {
			return err
		}
		o.listing.Lock()
	}
	defer o.listing.Unlock()
	next := o.scan
	if r.Flags&(wire.ScanRestart|wire.ScanReopen) != 0 {
		next = scan{pattern: next.pattern}
		if r.Flags&wire.ScanReopen != 0 {
			next.pattern = nil
		}
	}
	if next.pattern == nil || r.Flags&wire.ScanRestart != 0 && len(r.Pattern) > 0 {
		p, err := names.ParsePattern(r.Pattern, m.conn.srv.cfg.folding(m.tree.volume))
		if err != nil {
			return err
		}
		next.pattern = p
	}
	m.reserve(wire.OutputSize + int(r.Room))
	at := len(m.b)
	m.b = m.b[:at+wire.OutputSize]
	l, err := fscc.NewListing(fscc.FileClass(r.Class), m.b, int(r.Room))
	if err != nil {
		return err
	}
	if err := m.list(o, &next, l, r.Flags&wire.ScanSingle != 0); err != nil {
		return err
	}
	o.scan = next
	m.b = l.Bytes()
	wire.PutOutput(m.b[at:], uint32(len(m.b)-at-wire.OutputSize))
	return nil
}

// list fills l from where the scan stands.
func (m *message) list(o *open, s *scan, l *fscc.Listing, single bool) error {
	full, tooSmall := false, false
	var waits error
	emit := func(e *causeway.DirEntry) bool {
		if !s.pattern.Match(e.Name) {
			s.cookie = e.Cookie
			return true
		}
		if full {
			return false
		}
		attr := &e.Attr
		if !attr.Valid() {
			attr = &causeway.Attr{Type: max(e.Type, causeway.TypeRegular), FileID: e.FileID, Mode: 0o444}
		}
		var d fscc.DOS
		if !e.Object.IsZero() {
			h := causeway.Handle{Volume: o.handle.Volume, Object: e.Object}
			if d, waits = m.dosOf(h); waits == nil {
				attr, waits = m.shown(h, attr, &d)
			}
			if waits != nil {
				return false
			}
		}
		entry := fscc.Entry{Object: fscc.ObjectOf(attr, &d, e.Name), Name: e.Name}
		if !l.Add(&entry) {
			tooSmall = l.Len() == 0
			return false
		}
		s.cookie = e.Cookie
		full = single
		return true
	}
	if !s.ended {
		_, eof, err := m.conn.srv.cfg.Access.ReadDir(m.conn.ctx, &m.caller, o.handle, s.cookie, gateway.WantAttr, emit)
		if err == nil {
			err = waits
		}
		if err != nil {
			return err
		}
		s.ended = eof
	}
	switch {
	case tooSmall:
		return ntstatus.InfoLengthMismatch
	case l.Len() > 0:
		s.begun = true
		return nil
	case !s.begun:
		s.begun = true
		o.scan = *s
		return ntstatus.NoSuchFile
	}
	o.scan = *s
	return ntstatus.NoMoreFiles
}
