//go:build linux

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

// mounted boots a guest that has mounted volumes at one gateway, and returns their directories.
func (s *stage) mounted(name string, at *harness.Member, volumes ...string) (*harness.Guest, []string) {
	s.t.Helper()
	guest := s.network.Boot(harness.GuestConfig{Name: name})
	var dirs []string
	for _, v := range volumes {
		dirs = append(dirs, guest.Mount(harness.Mount{Server: at.Service.String(), Export: "/" + v, Version: "3", Port: 2049}))
	}
	return guest, dirs
}

// TestCoherence has two guests at two gateways, of which neither administers the volumes: what one wrote and closed the other reads when it
// opens, sizes and times never go backwards, and who reads a file goes on while it is renamed and replaced.
func TestCoherence(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.volume("x0", "--exclusive")
	for _, v := range s.volumes {
		s.move(v, s.Members[2])
	}
	alpha, dirs := s.mounted("alpha", s.Members[0], s.volumes...)
	beta, _ := s.mounted("beta", s.Members[1], s.volumes...)
	for i, dir := range dirs {
		s.turns(s.volumes[i], dir, alpha, beta)
		s.replaced(s.volumes[i], dir, alpha, beta)
		s.removed(s.volumes[i], dir, alpha, beta)
		s.unremembered(alpha, s.Members[0], s.volumes[i])
		s.across(s.volumes[i], s.unremembered(beta, s.Members[1], s.volumes[i]), alpha, beta)
		s.cut(s.volumes[i], dir, alpha, beta)
	}
}

// turns has guests write a file in turns, and look at it.
func (s *stage) turns(volume, dir string, guests ...*harness.Guest) {
	s.t.Helper()
	var size, stamp string
	for n := range choose(12, 200) {
		writer, reader := guests[n%2], guests[(n+1)%2]
		text := fmt.Sprintf("%d %s", n, strings.Repeat("x", n*700))
		script := fmt.Sprintf("printf '%%s' '%s' >new; ", text)
		switch n % 3 {
		case 0:
			script = fmt.Sprintf("printf '%%s' '%s' >file", text)
		case 1:
			script += "cat new >file"
		case 2:
			script += "mv new file"
		}
		writer.Sh(dir, script+"; rm -f new")
		if got := reader.Sh(dir, "cat file"); got != text {
			s.t.Fatalf("%s, turn %d: %d bytes are read, %q, and %d were written", volume, n, len(got), got[:min(len(got), 20)], len(text))
		}
		now := strings.Fields(reader.Sh(dir, "stat -c '%s %.9Y' file"))
		if now[0] != fmt.Sprint(len(text)) || len(now[1]) < len(stamp) || now[1] < stamp {
			s.t.Errorf("%s, turn %d: size and time %v, before %s %s, written %d", volume, n, now, size, stamp, len(text))
		}
		size, stamp = now[0], now[1]
		if other := strings.Fields(writer.Sh(dir, "stat -c '%s %.9Y' file")); other[1] < stamp {
			s.t.Errorf("%s, turn %d: the writer sees the time %s, the reader %s", volume, n, other[1], stamp)
		}
	}
}

// replaced has one guest read a file that the other renames and replaces.
func (s *stage) replaced(volume, dir string, reader, other *harness.Guest) {
	s.t.Helper()
	other.Sh(dir, "seq 1 40000 >long; sync long")
	got := make(chan string, 1)
	go func() {
		r, err := reader.Run(s.t.Context(), wire.Command{Argv: []string{"/bin/sh", "-c", "exec 3<long; head -c 1000 <&3 >/dev/null; echo opened >&2; touch opened; while [ ! -e go ]; do sleep 0.05; done; tail -n 1 <&3"}, Dir: dir})
		got <- fmt.Sprint(strings.TrimSpace(r.Stdout), err)
	}()
	s.Await("the file is open", func() bool { return strings.Contains(other.Sh(dir, "ls"), "opened") })
	other.Sh(dir, "mv long renamed; echo short >long; touch go")
	if last := <-got; last != "40000<nil>" {
		s.t.Errorf("%s: who has a file open that is renamed reads %q", volume, last)
	}
	// Its client may take the name for what it was for as long as it trusts a directory: when an answer comes late to what it changed there
	// itself, it does not see that others have changed it too. Mounts that remember no names see it at once (across).
	if err := harness.Poll(2*time.Minute, func() error {
		if text := reader.Sh(dir, "cat long"); text != "short\n" {
			return fmt.Errorf("what replaced it has %d bytes, %.20q", len(text), text)
		}
		return nil
	}); err != nil {
		s.t.Errorf("%s: %v", volume, err)
	}
}

// TestPausedWriter stops a gateway whose client has writes under way, for longer than its lease. Another client truncates the file through
// another gateway, and writes it anew. Nothing of what the stopped gateway finds in its buffers when it goes on reaches the file.
func TestPausedWriter(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.volume("x0", "--exclusive")
	ctx := t.Context()
	const size, piece = 64 << 10, 8 << 10
	for i, volume := range append(s.volumes, s.volumes...) {
		if !harness.Long() && volume == s.volumes[0] {
			continue // the exclusive one has all that the plain one has
		}
		s.move(volume, s.Members[2])
		paused := s.Members[0]
		if i >= len(s.volumes) {
			paused = s.Members[2] // who administers the volume
		}
		at := s.Members[1]
		first, second := newMount(s.network.Host(), paused.Service.String(), volume, 1<<16), newMount(s.network.Host(), at.Service.String(), volume, 2<<16)
		if err := first.begin(ctx); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("paused-", i)
		file, err := first.create(ctx, name)
		if err == nil {
			_, err = first.write(ctx, file, 0, bytes.Repeat([]byte{'a'}, size), nfs3.FileSync) // it has the grant
		}
		if err != nil {
			t.Fatal(err)
		}
		paused.Signal(syscall.SIGSTOP)
		for n := range size / piece {
			if err := first.send(file, int64(n*piece), bytes.Repeat([]byte{'b'}, piece)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(longer)
		if err := second.truncate(ctx, file); err != nil {
			t.Fatal(err)
		}
		written := bytes.Repeat([]byte{'c'}, size/2)
		if _, err := second.write(ctx, file, 0, written, nfs3.FileSync); err != nil {
			t.Fatal(err)
		}
		paused.Signal(syscall.SIGCONT)
		s.AwaitRest(len(s.volumes))
		time.Sleep(500 * time.Millisecond) // for what may be under way
		data, err := os.ReadFile(filepath.Join(s.dirs[volume], name))
		if err != nil || !bytes.Equal(data, written) {
			t.Errorf("%s, through %s: there are %d bytes, %d of them stale; %v", volume, paused.Name, len(data), bytes.Count(data, []byte{'b'}), err)
		}
		first.close()
		second.close()
	}
}

// send sends a write and does not wait.
func (m *mount) send(file []byte, at int64, data []byte) error {
	record := nfs3.NewCall(nfs3.ProgNFS, 3, nfs3.Write, m.cred)
	record.Opaque(file)
	record.Uint64(uint64(at))
	record.Uint32(uint32(len(data)))
	record.Uint32(nfs3.FileSync)
	record.Opaque(data)
	record = record.Seal(0)
	m.xid++
	record.SetXID(m.xid)
	m.conn.SetDeadline(time.Now().Add(patience))
	_, err := m.conn.Write(record)
	return err
}

// truncate gives a file the length zero.
func (m *mount) truncate(ctx context.Context, file []byte) error {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.SetAttr, func(a *nfs3.Record) {
		a.Opaque(file)
		for range 3 { // mode, uid, gid: not set
			a.Uint32(0)
		}
		a.Uint32(1)
		a.Uint64(0)
		for range 3 { // times, guard: none
			a.Uint32(0)
		}
	})
	if err != nil {
		return err
	}
	r.Status()
	return r.Err
}
