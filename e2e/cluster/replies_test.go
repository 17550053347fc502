//go:build linux

package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// Procedures of NFSv3 that package nfs3 has no names for.
const (
	procSymlink = 10
	procRmDir   = 13
	procLink    = 15
)

// change is a call that must not be made twice, and what its client was answered.
type change struct {
	what   string
	record nfs3.Record
	xid    uint32
	answer []byte
}

// losses are how a client loses the gateway that it asked, or that one the owner, before the answer arrives.
var losses = []struct {
	name     string
	receiver bool // is the owner too
	do, undo func(s *stage, receiver, owner, third *harness.Member, volume string)
}{
	{"the receiver dies", false, func(_ *stage, receiver, _, _ *harness.Member, _ string) { receiver.Kill() },
		func(_ *stage, receiver, _, _ *harness.Member, _ string) { receiver.Start() }},
	{"the owner dies", false, func(_ *stage, _, owner, _ *harness.Member, _ string) { owner.Kill() },
		func(_ *stage, _, owner, _ *harness.Member, _ string) { owner.Start() }},
	{"the one that was both dies", true, func(_ *stage, receiver, _, _ *harness.Member, _ string) { receiver.Kill() },
		func(_ *stage, receiver, _, _ *harness.Member, _ string) { receiver.Start() }},
	{"the one that was both stops for longer than its lease", true, func(_ *stage, receiver, _, _ *harness.Member, _ string) {
		receiver.Signal(syscall.SIGSTOP)
		time.Sleep(longer)
	}, func(_ *stage, receiver, _, _ *harness.Member, _ string) { receiver.Signal(syscall.SIGCONT) }},
	{"the volume is moved", true, func(s *stage, _, _, third *harness.Member, volume string) { s.move(volume, third) },
		func(*stage, *harness.Member, *harness.Member, *harness.Member, string) {}},
	{"the volume is moved, and its owner dies", false, func(s *stage, _, owner, third *harness.Member, volume string) {
		s.move(volume, third)
		third.Kill()
	}, func(_ *stage, _, _, third *harness.Member, _ string) { third.Start() }},
	{"the owner and then its successor die", false, func(s *stage, _, owner, _ *harness.Member, volume string) {
		owner.Kill()
		s.Await("another gateway serves", func() bool { next := s.owner(volume); return next != nil && next != owner && s.serves(volume) })
		owner.Start()
		next := s.owner(volume)
		s.settledAt(volume, next)
		next.Kill()
	}, func(s *stage, _, _, _ *harness.Member, _ string) {
		for _, m := range s.Members {
			if !m.Running() {
				m.Start()
			}
		}
	}},
}

// TestReplies makes each kind of change, takes the answers for lost, and has the client repeat the calls, with their transaction ids, when
// gateways have gone: it is answered as it was the first time, at whatever gateway.
func TestReplies(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	volume, client := s.volumes[0], s.network.Host()
	ctx := t.Context()
	for i, loss := range losses {
		if !harness.Long() && i >= 5 {
			break
		}
		owner := s.owner(volume)
		receiver, third := s.beside(owner)
		if loss.receiver {
			receiver = owner
			_, third = s.beside(owner)
		}
		m := newMount(client, receiver.Service.String(), volume, uint32(i+1)<<16)
		if err := m.begin(ctx); err != nil {
			t.Fatal(err)
		}
		changes := makeChanges(t, m, fmt.Sprint("d", i))
		begun := time.Now()
		loss.do(s, receiver, owner, third, volume)
		m.close()
		repeat(t, loss.name+": at the same address", m, changes)
		took := time.Since(begun)
		for _, other := range s.Members {
			if other != receiver && other.Running() {
				n := newMount(client, other.Service.String(), volume, 0)
				repeat(t, loss.name+": at "+other.Name, n, changes)
				n.close()
			}
		}
		loss.undo(s, receiver, owner, third, volume)
		s.AwaitRest(1)
		repeat(t, loss.name+": when all are back", m, changes)
		m.close()
		t.Logf("%s: answered after %v", loss.name, took.Round(time.Millisecond))
	}
}

// makeChanges makes one change of each kind in a directory of its own, and keeps the answers.
func makeChanges(t *testing.T, m *mount, name string) []*change {
	t.Helper()
	var all []*change
	do := func(what string, proc uint32, args func(*nfs3.Record)) nfs3.Reply {
		t.Helper()
		record := nfs3.NewCall(nfs3.ProgNFS, 3, proc, m.cred)
		args(&record)
		c := &change{what: what, record: record.Seal(0)}
		reply, err := m.call(t.Context(), nfs3.ProgNFS, proc, args)
		reply.Status()
		if err != nil || reply.Err != nil {
			t.Fatalf("%s: %v, %v", what, err, reply.Err)
		}
		c.xid, c.answer = m.xid, bytes.Clone(m.last)
		all = append(all, c)
		return reply
	}
	root := m.root
	mkdir := do("MKDIR", nfs3.MkDir, func(a *nfs3.Record) { a.Opaque(root); a.Opaque([]byte(name)); a.SetAttrs(0o755) })
	mkdir.Uint32()
	dir := bytes.Clone(mkdir.Opaque())
	in := func(names ...string) func(*nfs3.Record) {
		return func(a *nfs3.Record) {
			for _, n := range names {
				a.Opaque(dir)
				a.Opaque([]byte(n))
			}
		}
	}
	made := do("CREATE", nfs3.Create, func(a *nfs3.Record) { in("file")(a); a.Uint32(1); a.SetAttrs(0o644) })
	made.Uint32()
	file := bytes.Clone(made.Opaque())
	attr, err := m.call(t.Context(), nfs3.ProgNFS, nfs3.GetAttr, func(a *nfs3.Record) { a.Opaque(file) })
	if attr.Status(); err != nil || attr.Err != nil {
		t.Fatal(err, attr.Err)
	}
	attr.Skip(76)
	seconds, nanoseconds := attr.Uint32(), attr.Uint32()
	do("SETATTR with a guard", nfs3.SetAttr, func(a *nfs3.Record) {
		a.Opaque(file)
		a.SetAttrs(0o600)
		a.Uint32(1)
		a.Uint32(seconds)
		a.Uint32(nanoseconds)
	})
	do("LINK", procLink, func(a *nfs3.Record) { a.Opaque(file); in("linked")(a) })
	do("RENAME", procRename, in("linked", "renamed"))
	do("SYMLINK", procSymlink, func(a *nfs3.Record) { in("symlink")(a); a.SetAttrs(0o777); a.Opaque([]byte("file")) })
	do("REMOVE", nfs3.Remove, in("renamed"))
	do("MKDIR below", nfs3.MkDir, func(a *nfs3.Record) { in("below")(a); a.SetAttrs(0o755) })
	do("RMDIR", procRmDir, in("below"))
	return all
}

// repeat sends calls again and compares the answers with the first ones.
func repeat(t *testing.T, where string, m *mount, changes []*change) {
	t.Helper()
	for _, c := range changes {
		answer, err := m.again(t.Context(), c)
		switch {
		case err != nil:
			t.Fatalf("%s: %s: %v", where, c.what, err)
		case !bytes.Equal(c.essence(answer), c.essence(c.answer)):
			t.Errorf("%s: %s is answered with %x, and was with %x", where, c.what, answer, c.answer)
		}
	}
}

// essence is what a repetition must be told as it was the first time: the status, and the handle of what was made. Attributes may be
// left out of any answer (RFC 1813 §2.6), and are where only a second copy knows the call.
func (c *change) essence(answer []byte) []byte {
	const status, handle = 28, 8 // ends of the status, and of what stands before a handle
	switch {
	case len(answer) < status:
		return nil
	case !strings.HasPrefix(c.what, "MKDIR") && c.what != "CREATE" && c.what != "SYMLINK":
		return answer[:status]
	case len(answer) < status+handle:
		return nil
	}
	return answer[:min(len(answer), status+handle+int(answer[status+handle-1]))]
}

// again sends a call with its first transaction id until it is answered.
func (m *mount) again(ctx context.Context, c *change) ([]byte, error) {
	m.xid = c.xid
	c.record.SetXID(c.xid)
	for until, tries := time.Now().Add(time.Minute), 0; time.Now().Before(until); time.Sleep(3 * time.Millisecond) {
		message, err := m.exchange(ctx, c.record, tries)
		tries++
		if err != nil {
			m.close()
			continue
		}
		if len(message) >= 28 && nfs3.Status(binary.BigEndian.Uint32(message[24:])) == nfs3.JukeBox {
			continue
		}
		return message, nil
	}
	return nil, fmt.Errorf("no answer")
}

// beside returns the two other gateways.
func (s *stage) beside(m *harness.Member) (a, b *harness.Member) {
	for i, one := range s.Members {
		if one == m {
			return s.Members[(i+1)%3], s.Members[(i+2)%3]
		}
	}
	s.t.Fatal("the volume has no owner")
	return nil, nil
}

// move has a gateway administer a volume, and waits until it does.
func (s *stage) move(volume string, to *harness.Member) {
	s.t.Helper()
	if err := to.Order("/cluster/volume/set", map[string]any{"name": volume, "preferred": to.Name}, nil); err != nil {
		s.t.Fatal(err)
	}
	s.Await("the volume has moved", func() bool { return s.owner(volume) == to && s.serves(volume) })
}

// serves reports whether somebody serves a volume that does not move.
func (s *stage) serves(volume string) bool {
	if v := s.View(); v != nil {
		for _, one := range v.Volumes {
			if one.Name == volume {
				return one.Serving && !one.Moving
			}
		}
	}
	return false
}

// settledAt waits until all gateways run and have what they are to have, but that nothing has come back to a volume's earlier owner.
func (s *stage) settledAt(volume string, at *harness.Member) {
	s.t.Helper()
	s.Await("all gateways run", func() bool {
		for _, n := range s.Seen().Nodes {
			if !n.Running || n.Fenced != "" {
				return false
			}
		}
		return s.owner(volume) == at && s.Voters() == 3
	})
}
