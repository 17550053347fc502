package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/engine"
	"causeway/cluster/pki"
	"causeway/cluster/record"
)

// reach asks a member for what only gateways of the cluster are told, with an identity.
func reach(t *testing.T, m *member, with *tls.Config) error {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c := &Cluster{cfg: m.cfg, identity: m.identity}
	if with == nil {
		return c.askSeen(ctx, m.cfg.Peer, 1)
	}
	d := tls.Dialer{Config: with}
	conn, err := d.DialContext(ctx, "tcp", m.cfg.Peer)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /seen?revision=1 HTTP/1.0\r\n\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 100)
	n, err := conn.Read(answer)
	if err == nil && !strings.Contains(string(answer[:n]), " 200 ") {
		err = errors.New(string(answer[:n]))
	}
	return err
}

// TestRotateAuthority replaces the authority of three gateways twice while they serve. A certificate of before is worth nothing then, a
// gateway that is started again and one that joins are as good as ever.
func TestRotateAuthority(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease = enduring
	a := w.first("a")
	a.createVolumes(12)
	b := w.join(a, "b")
	c := w.join(a, "c")
	eventually(t, "all is served", func() bool { return served(12, a, b, c) && c.owns() > 0 })
	stale := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(stale, os.DirFS(b.path(identityDir))); err != nil {
		t.Fatal(err)
	}
	old, err := pki.Open(stale)
	if err != nil {
		t.Fatal(err)
	}
	if err := reach(t, a, old.Client()); err != nil {
		t.Fatalf("before: %v", err)
	}
	token, err := a.CreateToken(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	before := map[causeway.VolumeID]causeway.Epoch{}
	for id := causeway.VolumeID(1); id <= 12; id++ {
		before[id] = a.Table().Epoch(id)
	}
	for round := range 2 {
		if err := b.RotateAuthority(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for _, m := range []*member{a, b, c} {
			if err := reach(t, m, nil); err != nil {
				t.Errorf("round %d, %s: %v", round, m.name, err)
			}
		}
	}
	for id, e := range before {
		if now := a.Table().Epoch(id); now != e {
			t.Errorf("%v moved: %v after %v", id, now, e)
		}
	}
	if n := len(a.Table().Get(record.Sole(record.KindAuthority)).Value.(*record.Authority).Issuers); n != 1 {
		t.Errorf("%d authorities are trusted", n)
	}
	if err := reach(t, a, old.Client()); err == nil {
		t.Error("a certificate of the first authority is still good")
	}
	late := w.config("d")
	late.Join, late.Token, late.Hooks = a.cfg.Peer, token, w.gateway("d")
	if c, err := Start(t.Context(), late); err == nil {
		c.Close()
		t.Error("a token of before is still good")
	}
	d := w.join(c, "d")
	eventually(t, "all is served, by four", func() bool { return served(12, a, b, c, d) })
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.RotateAuthority(t.Context()); !errors.Is(err, ErrOldTrusted) || !strings.Contains(err.Error(), "b") {
		t.Errorf("with a node away: %v", err)
	}
	cfg := b.cfg
	cfg.Join, cfg.Token = "", ""
	if cfg.Door, err = net.Listen("tcp", cfg.Peer); err != nil {
		t.Fatal(err)
	}
	b = w.start(cfg)
	eventually(t, "all is served again", func() bool { return served(12, a, b, c, d) })
	if err := a.RotateAuthority(t.Context()); err != nil {
		t.Errorf("the end of the rotation: %v", err)
	}
}

// TestRestore backs a cluster up and restores it elsewhere: what was set is there, and the epochs are above those of before.
func TestRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	a.createVolumes(40)
	user := &record.User{Name: "ann", UID: 1000, GID: 1000, Sealed: []byte("sealed")}
	client := &record.Client{Protocol: "nlm", Name: "c", Address: netip.MustParseAddr("10.0.0.9"), Node: "a", Lost: 1 << 40, Told: 1 << 39}
	for _, r := range []struct {
		key   record.Key
		value record.Record
	}{{user.Key(), user}, {client.Key(), client}} {
		if done, err := a.Transact(t.Context(), record.Create(r.key, r.value, 0)); err != nil || !done {
			t.Fatal(done, err)
		}
	}
	eventually(t, "volumes are served", func() bool { return served(40, a) })
	b, err := a.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	epoch, secret := a.Table().Epoch(7), string(a.Table().Cluster().Secret)
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := w.config("a")
	if err := Restore(t.Context(), cfg, b); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), cfg, b); err == nil {
		t.Error("restored over a cluster")
	}
	again := w.start(cfg)
	eventually(t, "volumes are served again", func() bool { return served(40, again) })
	if now := again.Table().Epoch(7); !epoch.Before(now) {
		t.Errorf("epoch %v after %v", now, epoch)
	}
	if c := again.Table().Cluster(); c.ID != b.Cluster || string(c.Secret) != secret || again.Table().Volume(7).Name != a.Table().Volume(7).Name {
		t.Errorf("%+v", c)
	}
	if item := again.Table().Get(user.Key()); item == nil || item.Value.(*record.User).UID != 1000 {
		t.Error("nobody can log on any more:", item)
	}
	if item := again.Table().Get(client.Key()); item == nil || item.Value.(*record.Client).Lost != 0 || item.Value.(*record.Client).Told != 0 {
		t.Error("clients that hold locks are not told that they are lost:", item)
	}
	w.join(again, "b")
	broken := *b
	broken.Records = b.Records[:len(b.Records)/2]
	if err := Restore(t.Context(), w.config("x"), &broken); err == nil {
		t.Error("half a backup was restored")
	}
}

func (d *database3) endpoints() (list []string) {
	for _, s := range d.servers {
		list = append(list, s.Endpoint())
	}
	return list
}

// TestDatabaseOfOthers: a gateway knows whose database it uses, and notices when that was set back or is another one.
func TestDatabaseOfOthers(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), startDatabase(t)
	cfg := w.config("a")
	cfg.External, cfg.ExternalTLS, cfg.EnginePeer, cfg.EngineClient = d.endpoints(), d.client, "", ""
	a := w.start(cfg)
	a.createVolumes(2)
	eventually(t, "volumes are served", func() bool { return served(2, a) })
	if err := reach(t, a, nil); err != nil {
		t.Errorf("without a certificate of the cluster's own: %v", err)
	}
	two := w.config("b")
	two.External, two.ExternalTLS = cfg.External, cfg.ExternalTLS
	b := w.start(two)
	eventually(t, "both serve", func() bool { return served(2, a, b) })
	if err := a.Everywhere(t.Context()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(b.Stop(t.Context()), a.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	before := a.Table().Cluster().Incarnation
	cfg.Door = nil
	shifted := &Cluster{cfg: cfg}
	if err := shifted.note(func(w *whereabouts) { w.Revision += 1 << 40 }); err != nil { // as if the database had been further
		t.Fatal(err)
	}
	a = w.start(cfg)
	eventually(t, "the incarnation has risen", func() bool { return a.Table().Cluster().Incarnation > before })
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := startDatabase(t)
	for _, c := range []struct {
		said string
		make func()
	}{
		{"no cluster", func() {}},
		{ErrOtherCluster.Error(), func() {
			stranger := w.config("s")
			stranger.External, stranger.ExternalTLS = other.endpoints(), other.client
			if err := w.start(stranger).Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		c.make()
		moved := cfg
		moved.External, moved.ExternalTLS, moved.Hooks = other.endpoints(), other.client, w.gateway("a")
		if x, err := Start(t.Context(), moved); err == nil {
			x.Close()
			t.Errorf("it takes another database: %s", c.said)
		} else if !strings.Contains(err.Error(), c.said) {
			t.Errorf("%v does not say %q", err, c.said)
		}
	}
}

func TestCheckEndpoints(t *testing.T) {
	for e, ok := range map[string]bool{"https://10.0.0.1:2379": true, "http://127.0.0.1:2379": true, "http://[::1]:2379": true, "http://localhost:1": true,
		"http://10.0.0.1:2379": false, "10.0.0.1:2379": false, "ftp://127.0.0.1": false, "https://": false, "https://a/b": false, "": false} {
		if err := engine.CheckEndpoints([]string{e}, true); (err == nil) != ok {
			t.Errorf("%q: %v", e, err)
		}
	}
	if err := engine.CheckEndpoints([]string{"https://10.0.0.1:2379"}, false); err == nil {
		t.Error("https without certificates")
	}
}
