//go:build linux

package cluster

import (
	"testing"
	"time"

	"causeway/e2e/smb2"
)

// durable opens with a handle that the server keeps for a client whose connection is lost, and for nobody else.
func durable(name string, n byte) smb2.Open {
	o := leased(name, n, smb2.RWH)
	o.Share, o.Timeout, o.Durable = smb2.ShareRead, 5*time.Minute, key(name, n)
	return o
}

// keeps opens such a file and locks and writes in it.
func (s *smbStage) keeps(t *testing.T, c *smb2.Conn, name string) *smb2.File {
	t.Helper()
	f := must(t, c, durable(name, 1))
	if f.Keep == 0 {
		t.Fatal("the handle is not durable")
	}
	want(t, "write", f.Write(0, []byte("before")), nil)
	want(t, "lock", f.Lock(smb2.Exclusive|smb2.AtOnce, 0, 10), nil)
	return f
}

// back has the client that had the file open have it again, with its lease and its lock.
func (s *smbStage) back(t *testing.T, c *smb2.Conn, f *smb2.File) *smb2.File {
	t.Helper()
	o := f.Opened
	o.Back = f
	again, err := c.Create(o)
	if err != nil {
		t.Fatal("the handle is not had again:", err)
	}
	if again.Lease != smb2.RWH {
		t.Errorf("the lease is %d", again.Lease)
	}
	if got, err := again.Read(0, 10); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	return again
}

func playDurable(t *testing.T, s *smbStage, prefix string) {
	f := s.keeps(t, s.a, prefix)
	s.a.Cut()
	s.a = s.connect(0, 1)
	again := s.back(t, s.a, f)
	// Its lock has lived: another open of the same client does not get it.
	same := leased(prefix, 1, smb2.RWH)
	same.Access, same.Share = smb2.ReadData, smb2.ShareAll
	g := must(t, s.a, same)
	want(t, "a lock that was kept", g.Lock(smb2.Shared|smb2.AtOnce, 5, 1), smb2.LockNotGranted)
	want(t, "close", g.Close(), nil)
	want(t, "close", again.Close(), nil)
	// Nobody comes back: another client that opens the file ends what is kept.
	s.keeps(t, s.a, prefix+"-2")
	s.a.Cut()
	other := must(t, s.b, plain(prefix+"-2"))
	want(t, "close", other.Close(), nil)
	s.a = s.connect(0, 1)
}

// TestSMBDurable loses connections, owners and gateways under durable handles.
func TestSMBDurable(t *testing.T) {
	s := setSMB(t)
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	for _, c := range []struct {
		name string
		at   int // where the client comes back
		do   func(t *testing.T)
	}{
		{"at another gateway", 1, func(*testing.T) {}},
		{"after the volume has moved", 0, func(*testing.T) { s.move(s.volume, s.Members[1]) }},
		{"at another gateway after the volume has moved", 1, func(*testing.T) { s.move(s.volume, s.Members[2]) }},
		{"after the death of the administrator", 0, func(*testing.T) { s.Members[2].Kill() }},
		{"after the death of the client's gateway, at another one", 1, func(*testing.T) { s.Members[0].Kill() }},
		{"after the death of the gateway that was both, at another one", 1, func(*testing.T) {
			s.AwaitRest(1)
			s.move(s.volume, s.Members[0])
			s.Members[0].Kill()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "durable " + c.name
			f := s.keeps(t, s.a, name)
			c.do(t)
			s.a.Cut()
			begun := time.Now()
			s.a = s.connect(c.at, 1)
			again := s.back(t, s.a, f)
			t.Log("the client has its handle again after", time.Since(begun).Round(time.Millisecond))
			want(t, "close", again.Close(), nil)
			s.ready(t)
		})
	}
}

// ready brings the client back to the first gateway, and all gateways to life.
func (s *smbStage) ready(t *testing.T) {
	t.Helper()
	for _, m := range s.Members {
		if !m.Running() {
			m.Start()
		}
	}
	s.AwaitRest(1)
	s.a.Cut()
	s.a = s.connect(0, 1)
}

// TestSMBSurvives moves the volume, and kills its administrator, while an SMB client works: its connection, opens, locks and leases stay.
func TestSMBSurvives(t *testing.T) {
	s := setSMB(t)
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	s.move(s.volume, s.Members[2])
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"the volume moves here", func() { s.move(s.volume, s.Members[0]) }},
		{"it moves away", func() { s.move(s.volume, s.Members[1]) }},
		{"it moves on", func() { s.move(s.volume, s.Members[2]) }},
		{"the administrator dies", func() { s.Members[2].Kill() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := s.keeps(t, s.a, c.name)
			plainly := must(t, s.a, plain(c.name+" plainly"))
			c.do()
			want(t, "write", f.Write(3, []byte("new")), nil)
			if got, err := f.Read(0, 10); err != nil || string(got) != "befnew" {
				t.Errorf("%q, %v", got, err)
			}
			deny := plain(c.name + " plainly")
			deny.Share = 0
			_, err := s.b.Create(deny)
			want(t, "an open that was there before denies", err, smb2.SharingViolation)
			want(t, "write", plainly.Write(0, []byte("x")), nil)
			same := must(t, s.a, smb2.Open{Name: c.name, Access: smb2.ReadData, Share: smb2.ShareAll, Disposition: smb2.OpenOnly, Lease: smb2.RWH, Key: key(c.name, 1)})
			want(t, "a lock that was there before", same.Lock(smb2.Shared|smb2.AtOnce, 5, 1), smb2.LockNotGranted)
			same.Close()
			s.broken(t, s.a, key(c.name, 1), smb2.RH, func() error {
				g, err := s.b.Create(smb2.Open{Name: c.name, Access: smb2.ReadData, Share: smb2.ShareAll, Disposition: smb2.OpenOnly})
				if err == nil {
					err = g.Close()
				}
				return err
			})
			want(t, "close", f.Close(), nil)
			want(t, "close", plainly.Close(), nil)
		})
		if m := s.Members[2]; !m.Running() {
			m.Start()
			s.AwaitRest(1)
		}
	}
}

// TestSMBLeftBehind: what a client had open and locked through a gateway that has died, and was promised to no one, is free.
func TestSMBLeftBehind(t *testing.T) {
	s := setSMB(t)
	for _, owner := range []int{2, 0} {
		s.move(s.volume, s.Members[owner])
		name := "left by " + s.Members[owner].Name
		o := plain(name)
		o.Share = 0
		f := must(t, s.a, o)
		want(t, "lock", f.Lock(smb2.Exclusive|smb2.AtOnce, 0, 10), nil)
		_, err := s.b.Create(plain(name))
		want(t, "open", err, smb2.SharingViolation)
		s.Members[0].Kill()
		var g *smb2.File
		s.Await("the file is free", func() bool {
			g, err = s.b.Create(plain(name))
			return err == nil
		})
		want(t, "lock", g.Lock(smb2.Exclusive|smb2.AtOnce, 0, 10), nil)
		want(t, "close", g.Close(), nil)
		s.ready(t)
	}
}
