//go:build linux

package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

// removed has one guest read a file that it has removed itself while it was open: its client keeps the file under another name until it is
// closed (a silly rename), which the other guest sees come and go.
func (s *stage) removed(volume, dir string, reader, other *harness.Guest) {
	s.t.Helper()
	other.Sh(dir, "seq 1 40000 >doomed; sync doomed")
	got := make(chan string, 1)
	go func() {
		r, err := reader.Run(s.t.Context(), wire.Command{Argv: []string{"/bin/sh", "-c", "exec 3<doomed; head -c 1000 <&3 >/dev/null; rm doomed; touch isgone; while [ ! -e goon ]; do sleep 0.05; done; tail -n 1 <&3"}, Dir: dir})
		got <- fmt.Sprint(strings.TrimSpace(r.Stdout), err)
	}()
	names := func() string { return other.Sh(dir, "ls -A") }
	s.Await("the file is removed", func() bool { return strings.Contains(names(), "isgone") })
	if list := names(); strings.Contains(list, "doomed") || !strings.Contains(list, ".nfs") {
		s.t.Errorf("%s: of an open file that was removed there is %q", volume, list)
	}
	other.Sh(dir, "touch goon")
	if last := <-got; last != "40000<nil>" {
		s.t.Errorf("%s: who has a file open that he removed reads %q", volume, last)
	}
	s.Await("it is gone when it is closed", func() bool { return !strings.Contains(names(), ".nfs") })
}

// unremembered mounts a volume once more at a guest, whose client remembers no names: it looks each of them up where it would otherwise trust
// what it knows of a directory for half a minute, whoever the server is.
func (s *stage) unremembered(guest *harness.Guest, at *harness.Member, volume string) string {
	s.t.Helper()
	dir := "/mnt/unremembered-" + volume
	guest.Sh("/", fmt.Sprintf("mkdir -p %s; mount.nfs %v:/%s %s -o vers=3,proto=tcp,port=2049,mountport=2049,mountproto=tcp,nolock,nosharecache,lookupcache=none,actimeo=0",
		dir, at.Service, volume, dir))
	return dir
}

// across has guests rename between directories in turns, over files that the other has just read: both see the same tree after each.
func (s *stage) across(volume, dir string, guests ...*harness.Guest) {
	s.t.Helper()
	guests[0].Sh(dir, "mkdir one two one/deep; echo first >one/f; echo second >two/f")
	for n := range choose(4, 60) {
		mover, other := guests[n%2], guests[(n+1)%2]
		from, to := "one", "two"
		if n%2 == 1 {
			from, to = to, from
		}
		other.Sh(dir, "cat one/f two/f >/dev/null; ls -lR one two >/dev/null")
		// The file goes over the one that is there, which is made anew; the directory goes along.
		mover.Sh(dir, fmt.Sprintf("echo %d >%s/f; mv -f %s/f %s/f; mv %s/deep %s/deep; echo empty >%s/f", n, from, from, to, from, to, from))
		want := fmt.Sprintf("empty\n%d\n%s\n", n, to+"/deep")
		look := fmt.Sprintf("cat %s/f %s/f; ls -d */deep", from, to)
		for i, g := range []*harness.Guest{other, mover} {
			if got := g.Sh(dir, look); got != want {
				s.t.Fatalf("%s, turn %d: %s sees %q, want %q", volume, n, []string{"the other", "who renamed"}[i], got, want)
			}
		}
	}
}

// cut (see turns for what a client knows before it opens a file) has one guest write blocks at rising places while the other cuts the file: sizes never contradict what is there, each block is whole
// or not there, and times do not go backwards.
func (s *stage) cut(volume, dir string, writer, cutter *harness.Guest) {
	s.t.Helper()
	const block = 4096
	blocks := choose(20, 80)
	writer.Sh(dir, "rm -f blocks; : >blocks")
	done := make(chan string, 1)
	go func() {
		// Each open sees the size as it is, each write is stable.
		r, err := writer.Run(s.t.Context(), wire.Command{Argv: []string{"/bin/sh", "-ec", fmt.Sprintf(
			"i=1; while [ $i -le %d ]; do head -c %d /dev/zero | tr '\\0' x | dd of=blocks bs=%d seek=$i conv=notrunc oflag=sync 2>/dev/null; i=$((i+1)); done", blocks, block, block)}, Dir: dir})
		done <- fmt.Sprint(r.Status, r.Stderr, err)
	}()
	stamp, cuts := "", 0
	for ended := false; !ended; cuts++ {
		select {
		case end := <-done:
			ended = true
			if end != "0<nil>" {
				s.t.Errorf("%s: the writer: %s", volume, end)
			}
		default:
			cutter.Sh(dir, fmt.Sprintf("truncate -s %d blocks", block*(cuts%3)))
			now := strings.TrimSpace(cutter.Sh(dir, "stat -c %.9Y blocks"))
			if now < stamp {
				s.t.Errorf("%s: the time goes from %s to %s", volume, stamp, now)
			}
			stamp = now
		}
	}
	cutter.Sh(dir, fmt.Sprintf("truncate -s %d blocks", 2*block*blocks))
	data, err := os.ReadFile(filepath.Join(s.dirs[volume], "blocks"))
	if err != nil || len(data) != 2*block*blocks {
		s.t.Fatalf("%s: %d bytes, %v", volume, len(data), err)
	}
	for i := 0; i < len(data); i += block {
		if n := bytes.Count(data[i:i+block], []byte{'x'}); n != 0 && n != block || n+bytes.Count(data[i:i+block], []byte{0}) != block {
			s.t.Errorf("%s: block %d has %d bytes of a write", volume, i/block, n)
		}
	}
	sum := func(g *harness.Guest) string { return g.Sh(dir, "cksum <blocks; stat -c %s blocks") }
	begun := time.Now()
	if a, b := sum(writer), sum(cutter); a != b {
		s.t.Errorf("%s: one sees %q, the other %q", volume, a, b)
	}
	s.t.Logf("%s: cut %d times while %d blocks were written; compared in %v", volume, cuts, blocks, time.Since(begun).Round(time.Millisecond))
}
