package gatewaytest

import (
	"math"
	"strings"

	"causeway"
	"causeway/gateway"
)

func testBytes(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	text, r, err := s.read(alice(), f, 0, 10)
	if err != nil || text != "" || !r.EOF || !r.Attr.Valid() {
		s.Errorf("empty file: %q %+v %v", text, r, err)
	}
	for _, how := range []causeway.Stability{causeway.Unstable, causeway.DataSync, causeway.FileSync} {
		w, err := s.write(alice(), f, uint64(how)*4, "abcd", how)
		if err != nil || w.N != 4 || w.Stable < how {
			s.Errorf("write %d: %+v %v", how, w, err)
		}
	}
	_, err = s.write(alice(), f, 20, "end", causeway.Unstable)
	s.must(err, "write behind a hole")
	for _, c := range []struct {
		off  uint64
		n    int
		want string
		eof  bool
	}{{0, 4, "abcd", false}, {2, 12, "cdabcdabcd\x00\x00", false}, {20, 3, "end", true}, {20, 100, "end", true}, {23, 1, "", true}, {1 << 40, 1, "", true}, {22, 0, "", false}} {
		text, r, err := s.read(alice(), f, c.off, c.n)
		if err != nil || text != c.want || r.EOF != c.eof {
			s.Errorf("read %d at %d: %q %v %v, want %q %v", c.n, c.off, text, r.EOF, err, c.want, c.eof)
		}
	}
	big := strings.Repeat("0123456789abcdef", causeway.MaxTransfer/16)
	_, err = s.write(alice(), f, 1<<32, big, causeway.Unstable)
	s.must(err, "write of 1 MiB")
	if text, _, err := s.read(alice(), f, 1<<32, len(big)); err != nil || text != big {
		s.Errorf("read of 1 MiB: %d bytes, %v", len(text), err)
	}
	if fr, err := s.Transfer.ReadRange(s.ctx, alice(), f, 20, 100); err == nil {
		if fr.Offset != 20 || fr.N != 100 || fr.EOF {
			s.Errorf("range: %+v", fr)
		}
		fr.Hold.Release()
	} else {
		s.want(causeway.ErrNotSupp, err, "range")
	}
	_, _, err = s.read(Root(), s.root, 0, 1)
	s.want(causeway.ErrIsDir, err, "read of a directory")
	link, err := s.create(alice(), s.root, "l", causeway.TypeSymlink, 0)
	s.must(err, "symlink")
	_, err = s.write(alice(), link.Handle, 0, "x", causeway.Unstable)
	s.want(causeway.ErrInval, err, "write to a symbolic link")
}

func testBounds(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	for _, off := range []uint64{math.MaxInt64, math.MaxUint64, math.MaxInt64 - 3} {
		_, err := s.write(alice(), f, off, "data", causeway.Unstable)
		s.want(causeway.ErrFBig, err, "write at the end of the range")
		if _, r, err := s.read(alice(), f, off, 10); err != nil || !r.EOF || r.N != 0 {
			s.Errorf("read at %d: %+v %v", off, r, err)
		}
	}
	if w, err := s.write(alice(), f, 3, "", causeway.FileSync); err != nil || w.N != 0 {
		s.Errorf("write of nothing: %+v %v", w, err)
	}
	if a := s.attr(f); a.Size != 0 {
		s.Errorf("size %d", a.Size)
	}
}

func testDataRights(s *suite) {
	f := s.file(alice(), s.root, "f", 0o640)
	_, err := s.write(alice(), f, 0, "data", causeway.Unstable)
	s.must(err, "the owner writes")
	_, _, err = s.read(bob(), f, 0, 4)
	s.want(causeway.ErrAccess, err, "another one reads")
	_, err = s.write(User(1002, 100), f, 0, "x", causeway.Unstable)
	s.want(causeway.ErrAccess, err, "a member of the group writes")
	_, err = s.Transfer.Sync(s.ctx, bob(), f, causeway.Span{})
	s.want(causeway.ErrAccess, err, "another one commits")
	s.must(s.set(alice(), f, mode(0)), "chmod 0")
	_, err = s.write(alice(), f, 0, "more", causeway.Unstable)
	s.must(err, "the owner writes what he has open")
	_, _, err = s.read(alice(), f, 0, 4)
	s.must(err, "the owner reads what he has open")
	s.must(s.set(alice(), f, mode(0o711)), "chmod 0711")
	_, _, err = s.read(bob(), f, 0, 4)
	s.must(err, "who may execute may read")
	s.must(s.set(alice(), f, mode(0o4777)), "chmod 4777")
	_, err = s.write(bob(), f, 0, "x", causeway.Unstable)
	s.must(err, "write")
	if a := s.attr(f); a.Mode&causeway.ModeSetUID != 0 && !s.KeepsSetUID {
		s.Errorf("a write clears setuid: %o", a.Mode)
	}
}

func testVerifier(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	a, err := s.write(alice(), f, 0, "one", causeway.Unstable)
	s.must(err, "write")
	b, err := s.write(alice(), f, 3, "two", causeway.FileSync)
	s.must(err, "write")
	r, err := s.Transfer.Sync(s.ctx, alice(), f, causeway.Span{})
	s.must(err, "commit")
	if a.Verifier != b.Verifier || r.Verifier != a.Verifier || a.Verifier == (causeway.Verifier{}) {
		s.Errorf("verifiers %x %x %x", a.Verifier, b.Verifier, r.Verifier)
	}
}

func testGone(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	_, err := s.write(alice(), f, 0, "data", causeway.Unstable)
	s.must(err, "write")
	s.must(s.remove(alice(), s.root, "f", gateway.RemoveFile), "remove")
	_, _, err = s.read(alice(), f, 0, 4)
	s.want(causeway.ErrStale, err, "read of a removed file")
	_, err = s.write(alice(), f, 0, "data", causeway.Unstable)
	s.want(causeway.ErrStale, err, "write to a removed file")
	s.want(causeway.ErrStale, s.set(alice(), f, mode(0)), "setattr of a removed file")
	_, err = s.Access.GetAttr(s.ctx, alice(), causeway.Handle{Volume: s.Volume + 1, Object: f.Object})
	s.want(causeway.ErrStale, err, "a handle of another volume")
	_, _, err = s.read(alice(), causeway.Handle{Volume: s.Volume + 1, Object: f.Object}, 0, 1)
	s.want(causeway.ErrStale, err, "a read of another volume")
}

func testReadOnly(s *suite) {
	f := s.file(alice(), s.root, "f", 0o644)
	ro := alice()
	ro.ReadOnly = true
	_, err := s.create(ro, s.root, "g", causeway.TypeRegular, 0o644)
	s.want(causeway.ErrROFS, err, "create")
	s.want(causeway.ErrROFS, s.remove(ro, s.root, "f", gateway.RemoveFile), "remove")
	s.want(causeway.ErrROFS, s.rename(ro, s.root, "f", s.root, "g"), "rename")
	s.want(causeway.ErrROFS, s.set(ro, f, mode(0)), "setattr")
	_, _, err = s.Access.Link(s.ctx, ro, f, s.root, "g")
	s.want(causeway.ErrROFS, err, "link")
	_, err = s.write(ro, f, 0, "x", causeway.Unstable)
	s.want(causeway.ErrROFS, err, "write")
	_, _, err = s.read(ro, f, 0, 1)
	s.must(err, "read")
	got, _, err := s.Access.Access(s.ctx, ro, f, causeway.MayRead|causeway.MayWrite)
	if err != nil || got != causeway.MayRead {
		s.Errorf("access %b %v", got, err)
	}
}

// testNoWait: a call that may not wait either does its work or has no effect at all.
func testNoWait(s *suite) {
	c := alice()
	c.NoWait = true
	_, err := s.create(c, s.root, "f", causeway.TypeRegular, 0o644)
	if _, found := s.lookup(alice(), s.root, "f"); s.Async != (err == nil) || s.Async != (found == nil) {
		s.Errorf("create without waiting: %v, found %v", err, found)
	}
	if !s.Async {
		s.want(causeway.ErrWouldBlock, err, "create")
	}
	f := s.file(alice(), s.root, "g", 0o644)
	_, err = s.write(c, f, 0, "x", causeway.FileSync)
	s.want(causeway.ErrWouldBlock, err, "stable write")
	_, err = s.Transfer.Sync(s.ctx, c, f, causeway.Span{})
	s.want(causeway.ErrWouldBlock, err, "commit")
	if a := s.attr(f); a.Size != 0 {
		s.Errorf("a write that would block wrote: size %d", a.Size)
	}
}

// testBorrowed: names and data belong to the caller again when a call returns.
func testBorrowed(s *suite) {
	name, data := []byte("borrowed"), []byte("data")
	f := s.file(alice(), s.root, borrow(name), 0o644)
	_, err := s.Transfer.Write(s.ctx, alice(), f, 0, data, causeway.Unstable)
	s.must(err, "write")
	_, err = s.lookup(alice(), s.root, borrow(name))
	s.must(err, "lookup")
	copy(name, "XXXXXXXX")
	copy(data, "XXXX")
	if got, err := s.lookup(alice(), s.root, "borrowed"); err != nil || got != f {
		s.Errorf("lookup after the name was reused: %v %v", got, err)
	}
	_, err = s.lookup(alice(), s.root, "XXXXXXXX")
	s.want(causeway.ErrNoEnt, err, "the reused name")
	if text, _, err := s.read(alice(), f, 0, 4); err != nil || text != "data" {
		s.Errorf("read after the buffer was reused: %q %v", text, err)
	}
}
