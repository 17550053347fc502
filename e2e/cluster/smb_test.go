//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
	"causeway/e2e/smb2"
)

// smbStage is a cluster whose first gateway serves SMB client "a", the second one SMB client "b", the third one an NFS client.
type smbStage struct {
	*stage
	volume string
	a, b   *smb2.Conn
	nfs    *mount
}

// setSMB starts such a cluster with a user "ann" whose ids are root's.
func setSMB(t *testing.T, flags ...string) *smbStage {
	t.Helper()
	s := &smbStage{stage: setStage(t, 1, harness.ClusterConfig{Flags: append([]string{"--smb", "445", "--smb-signing", "offered"}, flags...)})}
	s.volume = s.volumes[0]
	s.addUser("ann")
	s.a, s.b = s.connect(0, 1), s.connect(1, 2)
	s.nfs = newMount(s.network.Host(), s.Members[2].Service.String(), s.volume, 1<<28)
	t.Cleanup(s.nfs.close)
	if err := s.nfs.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// addUser adds a user whose ids are root's and whose password is "secret".
func (s *stage) addUser(name string) {
	s.t.Helper()
	add := exec.Command(harness.Build(s.t, "cmd/causeway"), "user", "add", name, "--uid", "0", "--gid", "0", "--state-dir", s.Members[0].State)
	add.Stdin = strings.NewReader("secret\n")
	if out, err := add.CombinedOutput(); err != nil {
		s.t.Fatalf("user add: %v\n%s", err, out)
	}
}

// connect logs on at a gateway, from a machine.
func (s *smbStage) connect(at int, machine byte) *smb2.Conn {
	s.t.Helper()
	var c, before *smb2.Conn
	if machine == 1 {
		before = s.a
	} else {
		before = s.b
	}
	s.Await("the gateway lets one log on", func() (ok bool) {
		var err error
		if c, err = s.tryConnect(at, machine, before); err != nil {
			s.t.Log("log on: ", err)
		}
		return err == nil
	})
	s.t.Cleanup(c.Cut)
	return c
}

func (s *smbStage) tryConnect(at int, machine byte, before *smb2.Conn) (*smb2.Conn, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	conn, err := s.network.Test().Dial(ctx, "tcp", net.JoinHostPort(s.Members[at].Service.String(), "445"))
	if err != nil {
		return nil, err
	}
	return smb2.Dial(conn, smb2.User{Name: "ann", Password: "secret", Share: s.volume, Machine: [16]byte{machine}, Before: before})
}

// plain opens what is there, or makes it, for everything, and shares all.
func plain(name string) smb2.Open {
	return smb2.Open{Name: name, Access: smb2.All, Share: smb2.ShareAll, Disposition: smb2.OpenIf}
}

// must opens, or fails the test.
func must(t *testing.T, c *smb2.Conn, o smb2.Open) *smb2.File {
	t.Helper()
	f, err := c.Create(o)
	if err != nil {
		t.Fatalf("open of %q: %v", o.Name, err)
	}
	return f
}

func want(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// file makes a file over NFS and returns its handle.
func (s *smbStage) file(t *testing.T, name string) []byte {
	t.Helper()
	h, err := s.nfs.create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// acrossGateways are scenarios of clients at three gateways. Names of files begin with the prefix.
var acrossGateways = []struct {
	name string
	play func(t *testing.T, s *smbStage, prefix string)
}{
	{"share modes", playSharing},
	{"share modes and NFS", playSharingNFS},
	{"byte ranges", playRanges},
	{"byte ranges and NLM", playNLM},
	{"mandatory locks and NFS", playMandatory},
	{"leases", playLeases},
	{"leases and NFS", playLeasesNFS},
	{"notices", playNotices},
	{"notices of NFS", playNoticesNFS},
	{"delete on close", playDelete},
	{"durable handles", playDurable},
}

// TestSMBAcross plays them with the volume administered by each of the gateways in turn.
func TestSMBAcross(t *testing.T) {
	s := setSMB(t)
	for _, m := range []*harness.Member{s.Members[2], s.Members[0], s.Members[1]} {
		s.move(s.volume, m)
		for _, scenario := range acrossGateways {
			t.Run("administered by "+m.Name+"/"+scenario.name, func(t *testing.T) {
				scenario.play(t, s, m.Name+"-"+strings.ReplaceAll(scenario.name, " ", "-"))
			})
		}
	}
}

func playSharing(t *testing.T, s *smbStage, prefix string) {
	for i, c := range []struct {
		access, share, other, otherShare uint32
		want                             error
	}{
		{smb2.ReadData, 0, smb2.ReadData, smb2.ShareAll, smb2.SharingViolation},
		{smb2.ReadData, smb2.ShareRead, smb2.ReadData, smb2.ShareAll, nil},
		{smb2.ReadData, smb2.ShareRead, smb2.WriteData, smb2.ShareAll, smb2.SharingViolation},
		{smb2.WriteData, smb2.ShareAll, smb2.ReadData, smb2.ShareRead, smb2.SharingViolation},
		{smb2.ReadData, smb2.ShareRead | smb2.ShareWrite, smb2.Delete, smb2.ShareAll, smb2.SharingViolation},
		{smb2.ReadAttrs, 0, smb2.All, 0, nil},
	} {
		name := fmt.Sprint(prefix, i)
		f := must(t, s.a, smb2.Open{Name: name, Access: c.access, Share: c.share, Disposition: smb2.OpenIf})
		g, err := s.b.Create(smb2.Open{Name: name, Access: c.other, Share: c.otherShare, Disposition: smb2.OpenOnly})
		want(t, fmt.Sprintf("%+v", c), err, c.want)
		if err == nil {
			g.Close()
		}
		want(t, "close", f.Close(), nil)
		if c.want != nil { // the other way round, now that it is free
			g := must(t, s.b, smb2.Open{Name: name, Access: c.other, Share: c.otherShare, Disposition: smb2.OpenOnly})
			_, err := s.a.Create(smb2.Open{Name: name, Access: c.access, Share: c.share, Disposition: smb2.OpenOnly})
			want(t, fmt.Sprintf("the other way: %+v", c), err, c.want)
			g.Close()
		}
	}
}

// playSharingNFS: an NFS client removes and renames nothing that an SMB client at another gateway has open without sharing its deletion.
func playSharingNFS(t *testing.T, s *smbStage, prefix string) {
	f := must(t, s.a, smb2.Open{Name: prefix, Access: smb2.All, Share: smb2.ShareRead | smb2.ShareWrite, Disposition: smb2.OpenIf})
	if err := s.nfs.remove(t.Context(), prefix); err == nil {
		t.Error("NFS removed what was open")
	}
	if err := s.nfs.rename(t.Context(), prefix, prefix+"-moved"); err == nil {
		t.Error("NFS renamed what was open")
	}
	want(t, "close", f.Close(), nil)
	want(t, "rename", s.nfs.rename(t.Context(), prefix, prefix+"-moved"), nil)
	f = must(t, s.a, plain(prefix+"-moved"))
	want(t, "removal of what shares it", s.nfs.remove(t.Context(), prefix+"-moved"), nil)
	f.Close()
}

func playRanges(t *testing.T, s *smbStage, prefix string) {
	f, g := must(t, s.a, plain(prefix)), must(t, s.b, plain(prefix))
	want(t, "write", f.Write(0, make([]byte, 100)), nil)
	want(t, "lock", f.Lock(smb2.Exclusive|smb2.AtOnce, 10, 10), nil)
	want(t, "shared", f.Lock(smb2.Shared|smb2.AtOnce, 50, 10), nil)
	want(t, "a lock of what another has", g.Lock(smb2.Exclusive|smb2.AtOnce, 15, 1), smb2.LockNotGranted)
	want(t, "a shared lock of what another shares", g.Lock(smb2.Shared|smb2.AtOnce, 55, 10), nil)
	_, err := g.Read(10, 10)
	want(t, "read of what another has locked", err, smb2.FileLockConflict)
	want(t, "write of what another has locked", g.Write(19, []byte("x")), smb2.FileLockConflict)
	want(t, "write of what is shared", g.Write(50, []byte("x")), smb2.FileLockConflict)
	_, err = g.Read(50, 10)
	want(t, "read of what is shared", err, nil)
	want(t, "write beside", g.Write(20, []byte("x")), nil)
	waits, err := g.BeginLock(smb2.Exclusive, 12, 2)
	want(t, "waiting", err, nil)
	s.Await("the lock waits", waits.Waits)
	cancelled, _ := g.BeginLock(smb2.Exclusive, 14, 2)
	s.Await("another lock waits", cancelled.Waits)
	want(t, "cancel", cancelled.Cancel(), nil)
	want(t, "what was cancelled", cancelled.Result(), smb2.Cancelled)
	if waits.Done() {
		t.Error("granted while another holds it")
	}
	want(t, "unlock", f.Lock(smb2.Unlock, 10, 10), nil)
	want(t, "who waited", waits.Result(), nil)
	want(t, "what has passed on", f.Lock(smb2.Shared|smb2.AtOnce, 12, 1), smb2.LockNotGranted)
	want(t, "close", g.Close(), nil)
	want(t, "what a close gave up", f.Lock(smb2.Exclusive|smb2.AtOnce, 12, 1), nil)
	want(t, "close", f.Close(), nil)
}

func playNLM(t *testing.T, s *smbStage, prefix string) {
	h, f := s.file(t, prefix), must(t, s.a, plain(prefix))
	want(t, "lock", f.Lock(smb2.Exclusive|smb2.AtOnce, 0, 4), nil)
	if got, err := s.nfs.lock(t.Context(), h, 7, true); got || err != nil {
		t.Error("NLM has what SMB has", got, err)
	}
	want(t, "unlock", f.Lock(smb2.Unlock, 0, 4), nil)
	if got, err := s.nfs.lock(t.Context(), h, 7, true); !got || err != nil {
		t.Error("NLM does not get what is free", got, err)
	}
	want(t, "a lock of what NLM has", f.Lock(smb2.Shared|smb2.AtOnce, 15, 4), smb2.LockNotGranted)
	if _, err := s.nfs.lock(t.Context(), h, 7, false); err != nil {
		t.Error(err)
	}
	want(t, "a lock of what NLM had", f.Lock(smb2.Exclusive|smb2.AtOnce, 15, 4), nil)
	want(t, "close", f.Close(), nil)
}

// playMandatory: what an SMB client has locked, an NFS client at another gateway neither reads nor writes.
func playMandatory(t *testing.T, s *smbStage, prefix string) {
	h, f := s.file(t, prefix), must(t, s.a, plain(prefix))
	want(t, "write", f.Write(0, make([]byte, 20)), nil)
	use := func(when string, locked bool) {
		t.Helper()
		_, read := s.nfs.read(t.Context(), h, 0, 10)
		_, write := s.nfs.write(t.Context(), h, 0, make([]byte, 10), nfs3.FileSync)
		if locked != errors.Is(read, acces) || locked != errors.Is(write, acces) || !locked && errors.Join(read, write) != nil {
			t.Errorf("%s: read %v, write %v", when, read, write)
		}
	}
	use("free", false)
	want(t, "lock", f.Lock(smb2.Exclusive|smb2.AtOnce, 5, 10), nil)
	use("locked", true)
	want(t, "close", f.Close(), nil)
	use("closed", false)
}
