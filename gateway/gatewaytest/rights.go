package gatewaytest

import (
	"causeway"
	"causeway/gateway"
)

func testRights(s *suite) {
	dir := s.mkdir(alice(), s.root, "dir", 0o750)
	f := s.file(alice(), dir, "f", 0o640)
	group := User(1002, 300, 100)
	_, err := s.lookup(group, dir, "f")
	s.must(err, "a member of the group searches")
	_, err = s.lookup(bob(), dir, "f")
	s.want(causeway.ErrAccess, err, "another one searches")
	_, err = s.lookup(bob(), dir, "missing")
	s.want(causeway.ErrAccess, err, "existence is not revealed")
	_, err = s.create(group, dir, "g", causeway.TypeRegular, 0o644)
	s.want(causeway.ErrAccess, err, "a member without write creates")
	all := causeway.MayRead | causeway.MayWrite | causeway.MayExec
	for _, c := range []struct {
		who  *gateway.Caller
		want causeway.Rights
	}{{alice(), causeway.MayRead | causeway.MayWrite}, {group, causeway.MayRead}, {bob(), 0}, {Root(), causeway.MayRead | causeway.MayWrite}} {
		got, a, err := s.Access.Access(s.ctx, c.who, f, all)
		if err != nil || got != c.want || !a.Valid() {
			s.Errorf("access of %d: %b %v, want %b", c.who.Cred.UID, got, err, c.want)
		}
	}
	got, _, err := s.Access.Access(s.ctx, alice(), f, causeway.MayRead)
	if err != nil || got != causeway.MayRead {
		s.Errorf("access answers what was asked: %b %v", got, err)
	}
}

func testRemove(s *suite) {
	dir := s.mkdir(alice(), s.root, "dir", 0o755)
	s.file(alice(), dir, "f", 0o644)
	sub := s.mkdir(alice(), dir, "sub", 0o755)
	s.file(alice(), sub, "inner", 0o644)
	s.want(causeway.ErrAccess, s.remove(bob(), dir, "f", gateway.RemoveFile), "another one removes")
	s.want(causeway.ErrIsDir, s.remove(alice(), dir, "sub", gateway.RemoveFile), "remove a directory as a file")
	s.want(causeway.ErrNotDir, s.remove(alice(), dir, "f", gateway.RemoveDir), "remove a file as a directory")
	s.want(causeway.ErrNotEmpty, s.remove(alice(), dir, "sub", gateway.RemoveDir), "remove a full directory")
	s.want(causeway.ErrNoEnt, s.remove(alice(), dir, "missing", gateway.RemoveFile), "remove nothing")
	s.must(s.remove(alice(), sub, "inner", gateway.RemoveAny), "remove inner")
	s.must(s.remove(alice(), dir, "sub", gateway.RemoveAny), "remove sub")
	_, err := s.Access.GetAttr(s.ctx, alice(), sub)
	s.want(causeway.ErrStale, err, "getattr of a removed directory")

	tmp := s.mkdir(Root(), s.root, "tmp", 0o1777)
	s.file(alice(), tmp, "hers", 0o666)
	s.want(causeway.ErrPerm, s.remove(bob(), tmp, "hers", gateway.RemoveFile), "sticky: another one removes")
	s.want(causeway.ErrPerm, s.rename(bob(), tmp, "hers", tmp, "his"), "sticky: another one renames")
	s.file(bob(), tmp, "his", 0o666)
	s.want(causeway.ErrPerm, s.rename(bob(), tmp, "his", tmp, "hers"), "sticky: another one replaces")
	s.must(s.remove(alice(), tmp, "hers", gateway.RemoveFile), "sticky: the owner removes")
	s.must(s.remove(Root(), tmp, "his", gateway.RemoveFile), "sticky: root removes")
}

func testRename(s *suite) {
	a, b := s.mkdir(alice(), s.root, "a", 0o755), s.mkdir(alice(), s.root, "b", 0o755)
	f := s.file(alice(), a, "f", 0o644)
	s.must(s.rename(alice(), a, "f", b, "g"), "rename")
	if got, err := s.lookup(alice(), b, "g"); err != nil || got != f {
		s.Errorf("the handle stays: %v %v, want %v", got, err, f)
	}
	_, err := s.lookup(alice(), a, "f")
	s.want(causeway.ErrNoEnt, err, "the old name")
	victim := s.file(alice(), a, "victim", 0o644)
	s.must(s.rename(alice(), b, "g", a, "victim"), "replace")
	_, err = s.Access.GetAttr(s.ctx, alice(), victim)
	s.want(causeway.ErrStale, err, "the replaced file")
	sub := s.mkdir(alice(), a, "sub", 0o755)
	s.file(alice(), sub, "full", 0o644)
	s.mkdir(alice(), b, "sub", 0o755)
	s.want(causeway.ErrNotEmpty, s.rename(alice(), b, "sub", a, "sub"), "onto a full directory")
	s.want(causeway.ErrIsDir, s.rename(alice(), a, "victim", a, "sub"), "a file onto a directory")
	s.want(causeway.ErrNotDir, s.rename(alice(), a, "sub", a, "victim"), "a directory onto a file")
	s.want(causeway.ErrInval, s.rename(alice(), s.root, "a", sub, "loop"), "a directory into itself")
	s.want(causeway.ErrNoEnt, s.rename(alice(), a, "missing", b, "x"), "a missing name")
	s.want(causeway.ErrAccess, s.rename(bob(), a, "victim", s.root, "stolen"), "from another's directory")
	s.must(s.rename(alice(), a, "sub", b, "sub"), "onto an empty directory")
	if up, err := s.lookup(alice(), sub, ".."); err != nil || up != b {
		s.Errorf(".. after a rename: %v %v", up, err)
	}
	fixed := s.mkdir(Root(), s.root, "fixed", 0o755)
	open := s.mkdir(Root(), s.root, "open", 0o777)
	s.mkdir(Root(), open, "roots", 0o755)
	s.want(causeway.ErrAccess, s.rename(bob(), open, "roots", s.root, "taken"), "a directory that one may not write to another parent")
	s.want(causeway.ErrAccess, s.rename(bob(), open, "roots", fixed, "taken"), "into a directory that one may not write")
}

func testLink(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	a, ch, err := s.Access.Link(s.ctx, alice(), f, s.root, "g")
	s.must(err, "link")
	if a.Nlink != 2 || !ch.After.Valid() {
		s.Errorf("link: %+v %+v", a, ch)
	}
	if got, err := s.lookup(alice(), s.root, "g"); err != nil || got != f {
		s.Errorf("every hard link has the same handle: %v %v, want %v", got, err, f)
	}
	_, _, err = s.Access.Link(s.ctx, alice(), f, s.root, "g")
	s.want(causeway.ErrExist, err, "link onto a name")
	_, _, err = s.Access.Link(s.ctx, alice(), s.root, s.root, "d")
	s.want(causeway.ErrPerm, err, "link to a directory")
	s.must(s.rename(alice(), s.root, "f", s.root, "g"), "rename onto the same object")
	for _, name := range []string{"f", "g"} {
		if _, err := s.lookup(alice(), s.root, name); err != nil {
			s.Errorf("renaming one link onto another does nothing: %s %v", name, err)
		}
	}
	s.must(s.remove(alice(), s.root, "f", gateway.RemoveFile), "remove one link")
	if got := s.attr(f); got.Nlink != 1 {
		s.Errorf("nlink %d", got.Nlink)
	}
}
