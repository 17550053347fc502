package gatewaytest

import (
	"fmt"
	"strings"

	"causeway"
	"causeway/gateway"
)

func testNames(s *suite) {
	dir := s.mkdir(alice(), s.root, "dir", 0o755)
	long := strings.Repeat("n", causeway.MaxName)
	s.file(alice(), dir, long, 0o644)
	s.file(alice(), dir, "\xff\xfe not UTF-8", 0o644)
	for name, code := range map[string]causeway.Code{
		"": causeway.ErrBadName, "a/b": causeway.ErrBadName, "a\x00b": causeway.ErrBadName, long + "n": causeway.ErrNameTooLong,
		"missing": causeway.ErrNoEnt, long: causeway.OK, "\xff\xfe not UTF-8": causeway.OK,
	} {
		_, err := s.lookup(alice(), dir, name)
		s.want(code, err, fmt.Sprintf("lookup %.20q", name))
	}
	for name, code := range map[string]causeway.Code{
		"": causeway.ErrBadName, "a/b": causeway.ErrBadName, "a\x00b": causeway.ErrBadName, ".": causeway.ErrExist, "..": causeway.ErrExist,
		long + "n": causeway.ErrNameTooLong, long: causeway.ErrExist,
	} {
		_, err := s.create(alice(), dir, name, causeway.TypeRegular, 0o644)
		s.want(code, err, fmt.Sprintf("create %.20q", name))
	}
	for name, code := range map[string]causeway.Code{".": causeway.ErrInval, "..": causeway.ErrExist, "": causeway.ErrBadName} {
		s.want(code, s.remove(alice(), dir, name, gateway.RemoveDir), fmt.Sprintf("remove %q", name))
		s.want(code, s.rename(alice(), dir, name, dir, "x"), fmt.Sprintf("rename %q", name))
		s.want(code, s.rename(alice(), dir, long, dir, name), fmt.Sprintf("rename to %q", name))
	}
	for at, want := range map[causeway.Handle]causeway.Handle{dir: s.root, s.root: s.root} {
		got, err := s.lookup(alice(), at, "..")
		s.must(err, "lookup ..")
		if got != want {
			s.Errorf("..: got %v, want %v", got, want)
		}
		if got, err = s.lookup(alice(), at, "."); err != nil || got != at {
			s.Errorf(".: got %v %v", got, err)
		}
	}
	f := s.file(alice(), dir, "file", 0o644)
	_, err := s.lookup(alice(), f, "x")
	s.want(causeway.ErrNotDir, err, "lookup in a file")
	_, err = s.create(alice(), f, "x", causeway.TypeRegular, 0)
	s.want(causeway.ErrNotDir, err, "create in a file")
}

func testCreate(s *suite) {
	for name, typ := range map[string]causeway.FileType{
		"reg": causeway.TypeRegular, "dir": causeway.TypeDirectory, "link": causeway.TypeSymlink, "fifo": causeway.TypeFIFO, "sock": causeway.TypeSocket,
	} {
		e, err := s.create(alice(), s.root, name, typ, 0o741)
		s.must(err, name)
		a := s.attr(e.Handle)
		if a.Type != typ || a.UID != 1000 || a.GID != 100 || typ != causeway.TypeSymlink && a.Mode != 0o741 {
			s.Errorf("%s: made %+v", name, a)
		}
		if found, err := s.lookup(alice(), s.root, name); err != nil || found != e.Handle {
			s.Errorf("%s: lookup %v %v, made %v", name, found, err, e.Handle)
		}
		_, err = s.create(alice(), s.root, name, typ, 0)
		s.want(causeway.ErrExist, err, "again "+name)
	}
	link, err := s.lookup(alice(), s.root, "link")
	s.must(err, "lookup link")
	if target, _, err := s.Access.ReadLink(s.ctx, bob(), link); err != nil || target != "target" {
		s.Errorf("readlink: %q %v", target, err)
	}
	_, _, err = s.Access.ReadLink(s.ctx, bob(), s.root)
	s.want(causeway.ErrInval, err, "readlink of a directory")

	f := s.file(alice(), s.root, "unchecked", 0o600)
	_, err = s.write(alice(), f, 0, "twelve bytes", causeway.FileSync)
	s.must(err, "write")
	spec := gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode | causeway.SetSize, Mode: 0o777, Size: 3}}
	_, _, err = s.Access.Create(s.ctx, bob(), s.root, "unchecked", &spec)
	s.want(causeway.ErrAccess, err, "unchecked create truncates another's file")
	e, _, err := s.Access.Create(s.ctx, alice(), s.root, "unchecked", &spec)
	s.must(err, "unchecked create")
	if a := s.attr(f); e.Handle != f || a.Size != 3 || a.Mode != 0o600 || e.Attr.Size != 3 {
		s.Errorf("unchecked create took the size and nothing else: %v %+v", e.Handle == f, a)
	}
	_, _, err = s.Access.Create(s.ctx, alice(), s.root, "dir", &spec)
	s.want(causeway.ErrExist, err, "unchecked create on a directory")
	set := causeway.SetAttr{Mask: causeway.SetMode | causeway.SetUID, Mode: 0o644, UID: 5}
	_, _, err = s.Access.Create(s.ctx, alice(), s.root, "given", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: set})
	s.want(causeway.ErrPerm, err, "create for another user")
	_, _, err = s.Access.Create(s.ctx, Root(), s.root, "given", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: set})
	s.must(err, "root creates for another user")
}

func testExclusive(s *suite) {
	spec := func(v byte) *gateway.CreateSpec {
		return &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Exclusive, Verifier: causeway.Verifier{0xff, 2, 3, 4, 0xfe, 6, 7, v}}
	}
	first, _, err := s.Access.Create(s.ctx, alice(), s.root, "x", spec(1))
	s.must(err, "exclusive create")
	again, _, err := s.Access.Create(s.ctx, alice(), s.root, "x", spec(1))
	s.must(err, "the same exclusive create again")
	if first.Handle != again.Handle {
		s.Error("the retransmitted exclusive create made another file")
	}
	_, _, err = s.Access.Create(s.ctx, alice(), s.root, "x", spec(2))
	s.want(causeway.ErrExist, err, "exclusive create with another verifier")
}

func testSetGID(s *suite) {
	dir := s.mkdir(Root(), s.root, "shared", 0o777)
	s.must(s.set(Root(), dir, causeway.SetAttr{Mask: causeway.SetGID | causeway.SetMode, GID: 200, Mode: 0o2777}), "chgrp")
	if a := s.attr(s.file(bob(), dir, "f", 0o644)); a.GID != 200 {
		s.Errorf("a setgid directory hands its group down: got %d", a.GID)
	}
	if a := s.attr(s.mkdir(bob(), dir, "d", 0o755)); a.GID != 200 || a.Mode != 0o2755 {
		s.Errorf("a setgid directory hands its group and bit down: got %d %o", a.GID, a.Mode)
	}
	if a := s.attr(s.file(bob(), dir, "s", 0o2755)); a.Mode != 0o755 {
		s.Errorf("setgid for a group that the caller is not in: %o", a.Mode)
	}
	f := s.file(alice(), dir, "member", 0o644)
	s.must(s.set(alice(), f, mode(0o2755)), "chmod g+s")
	if a := s.attr(f); a.Mode != 0o2755 {
		s.Errorf("a member of the file's group (supplementary) sets setgid: %o", a.Mode)
	}
}

func testReadDir(s *suite) {
	dir := s.mkdir(alice(), s.root, "dir", 0o744)
	want := map[string]causeway.Handle{}
	for i := range 50 {
		name := fmt.Sprint("entry", i)
		want[name] = s.file(alice(), dir, name, 0o600)
	}
	seen, cookie := map[string]bool{}, uint64(0)
	for eof := false; !eof; {
		n := 0
		var err error
		_, eof, err = s.Access.ReadDir(s.ctx, alice(), dir, cookie, gateway.WantAttr, func(e *causeway.DirEntry) bool {
			if n == 7 {
				return false
			}
			n++
			cookie = e.Cookie
			if seen[e.Name] {
				s.Errorf("%q twice", e.Name)
			}
			seen[strings.Clone(e.Name)] = true
			if h, ok := want[e.Name]; ok && (e.Object != h.Object || e.Attr.FileID != e.FileID || e.Attr.Mode != 0o600) {
				s.Errorf("%q: %+v", e.Name, e)
			}
			return true
		})
		s.must(err, "readdir")
		if n == 0 && !eof {
			s.Fatal("readdir gives nothing and does not end")
		}
	}
	if len(seen) != 52 || !seen["."] || !seen[".."] {
		s.Errorf("listed %d names", len(seen))
	}
	_, _, err := s.Access.ReadDir(s.ctx, bob(), dir, 0, gateway.WantAttr, func(e *causeway.DirEntry) bool {
		if e.Attr.Valid() {
			s.Errorf("%q: attributes for one who may not search", e.Name)
		}
		return true
	})
	s.must(err, "readdir by one who may read but not search")
	s.must(s.set(alice(), dir, mode(0o711)), "chmod")
	_, _, err = s.Access.ReadDir(s.ctx, bob(), dir, 0, gateway.WantNames, func(*causeway.DirEntry) bool { return true })
	s.want(causeway.ErrAccess, err, "readdir by one who may not read")
	_, _, err = s.Access.ReadDir(s.ctx, alice(), want["entry0"], 0, gateway.WantNames, func(*causeway.DirEntry) bool { return true })
	s.want(causeway.ErrNotDir, err, "readdir of a file")
}
