package gatewaytest

import (
	"causeway"
	"causeway/gateway"
)

func testSetAttr(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	id := func(mask causeway.SetMask, uid, gid uint32) causeway.SetAttr {
		return causeway.SetAttr{Mask: mask, UID: uid, GID: gid}
	}
	s.want(causeway.ErrPerm, s.set(bob(), f, mode(0o777)), "another one's chmod")
	s.want(causeway.ErrPerm, s.set(alice(), f, id(causeway.SetUID, 1001, 0)), "giving away")
	s.want(causeway.ErrPerm, s.set(bob(), f, id(causeway.SetUID, 1001, 0)), "taking")
	s.want(causeway.ErrPerm, s.set(alice(), f, id(causeway.SetGID, 0, 101)), "chgrp to a group of others")
	s.must(s.set(alice(), f, id(causeway.SetGID|causeway.SetUID, 1000, 200)), "chgrp to one's group")
	s.must(s.set(alice(), f, mode(0o4755)), "chmod u+s")
	if a := s.attr(f); a.GID != 200 || a.Mode != 0o4755 {
		s.Errorf("after chgrp and chmod: %+v", a)
	}
	s.must(s.set(Root(), f, id(causeway.SetUID|causeway.SetGID, 1001, 101)), "chown by root")
	if a := s.attr(f); a.UID != 1001 || a.GID != 101 || a.Mode != 0o755 {
		s.Errorf("chown clears setuid: %+v", a)
	}
	size := causeway.SetAttr{Mask: causeway.SetSize, Size: 5000}
	s.want(causeway.ErrAccess, s.set(alice(), f, size), "truncate without right")
	s.must(s.set(bob(), f, size), "truncate")
	if a := s.attr(f); a.Size != 5000 {
		s.Errorf("size %d", a.Size)
	}
	s.want(causeway.ErrIsDir, s.set(Root(), s.root, size), "truncate a directory")
	s.must(s.set(bob(), f, mode(0o444)), "chmod")
	s.must(s.set(bob(), f, causeway.SetAttr{Mask: causeway.SetSize}), "the owner truncates a read-only file that he has open")
}

// testNoID: the id that means "no change" to chown(2) is nobody's. A caller who says that he is in the group of that number must
// not get a set-group-id bit for the group that the file really has.
func testNoID(s *suite) {
	const none = 1<<32 - 1
	dir := s.mkdir(Root(), s.root, "dir", 0o777)
	s.must(s.set(Root(), dir, mode(0o2777)), "chmod g+s")
	f := s.file(alice(), dir, "f", 0o755)
	forger := User(1000, 100, none)
	set := causeway.SetAttr{Mask: causeway.SetGID | causeway.SetMode, GID: none, Mode: 0o2755}
	s.want(causeway.ErrInval, s.set(forger, f, set), "chgrp to no group")
	s.want(causeway.ErrInval, s.set(Root(), f, causeway.SetAttr{Mask: causeway.SetUID, UID: none}), "chown to no user")
	if a := s.attr(f); a.UID != 1000 || a.GID != 0 || a.Mode != 0o755 {
		s.Errorf("afterwards: %+v", a)
	}
	_, _, err := s.Access.Create(s.ctx, forger, dir, "g", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: set})
	s.want(causeway.ErrInval, err, "create for no group")
}

func testTimes(s *suite) {
	f := s.file(alice(), s.root, "f", 0o646)
	when := causeway.Time{Sec: 1234567890, Nsec: 123456789}
	set := causeway.SetAttr{Mask: causeway.SetAtime | causeway.SetMtime, Atime: when, Mtime: when}
	s.must(s.set(alice(), f, set), "the owner sets times")
	if a := s.attr(f); a.Atime != when || a.Mtime != when {
		s.Errorf("times %v %v", a.Atime, a.Mtime)
	}
	s.want(causeway.ErrPerm, s.set(bob(), f, set), "a writer sets given times")
	now := causeway.SetAttr{Mask: causeway.SetAtimeNow | causeway.SetMtimeNow}
	s.must(s.set(bob(), f, now), "a writer sets times to now")
	if a := s.attr(f); a.Mtime.Compare(when) <= 0 {
		s.Errorf("mtime %v", a.Mtime)
	}
	s.must(s.set(alice(), f, mode(0o644)), "chmod")
	s.want(causeway.ErrAccess, s.set(bob(), f, now), "a reader sets times to now")
}

func testGuard(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	set, ctime := mode(0o600), s.attr(f).Ctime
	wrong := ctime
	wrong.Sec--
	_, err := s.Access.SetAttr(s.ctx, alice(), f, &set, &wrong)
	s.want(causeway.ErrNotSync, err, "a guard that does not match")
	ch, err := s.Access.SetAttr(s.ctx, alice(), f, &set, &ctime)
	s.must(err, "a guard that matches")
	if ch.Before.Mode != 0o644 || ch.After.Mode != 0o600 {
		s.Errorf("change %o → %o", ch.Before.Mode, ch.After.Mode)
	}
}

// plain is attributes without what some are told with an ACL that was read, and others are not.
func plain(a causeway.Attr) causeway.Attr {
	a.ACL, a.Extended = nil, false
	return a
}

func testChange(s *suite) {
	dir := s.mkdir(alice(), s.root, "dir", 0o755)
	before := s.attr(dir)
	e, ch, err := s.Access.Create(s.ctx, alice(), dir, "f", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: mode(0o644)})
	s.must(err, "create")
	if ch.Before.Mtime != before.Mtime || ch.Before.Ctime != before.Ctime || plain(ch.After) != plain(s.attr(dir)) {
		s.Errorf("create: directory before %+v after %+v", ch.Before, ch.After)
	}
	_, ch, err = s.Access.Create(s.ctx, alice(), dir, "f", &gateway.CreateSpec{Type: causeway.TypeDirectory})
	s.want(causeway.ErrExist, err, "create again")
	if !ch.Before.Valid() || !ch.After.Valid() {
		s.Error("a failed change reports attributes too")
	}
	_, dirAttr, err := s.Access.Lookup(s.ctx, alice(), dir, "missing")
	s.want(causeway.ErrNoEnt, err, "lookup")
	if !dirAttr.Valid() {
		s.Error("a failed lookup reports the directory's attributes")
	}
	w, err := s.write(alice(), e.Handle, 0, "data", causeway.FileSync)
	s.must(err, "write")
	if w.Before.Size != 0 || w.After.Size != 4 || w.Stable != causeway.FileSync {
		s.Errorf("write: %+v", w)
	}
}
