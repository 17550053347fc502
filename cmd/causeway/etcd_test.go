package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/cluster/engine"
	"causeway/cluster/pki"
	"causeway/cmd/causeway/member"
	"causeway/internal/testport"
)

// asEtcd says in the environment that the test binary shall be a server of etcd, and which.
const asEtcd = "CAUSEWAY_TEST_AS_ETCD"

// runEtcd is etcd, until standard input ends.
func runEtcd(text string) {
	cfg := engine.Config{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err := json.Unmarshal([]byte(text), &struct{ *engine.Config }{&cfg}); err != nil {
		panic(err)
	}
	s, err := engine.Start(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	s.Close()
}

// foreign is an etcd that is nobody's of the cluster, with certificates of its own.
type foreign struct{ endpoint, cacert, cert, key string }

func startEtcd(t *testing.T) *foreign {
	t.Helper()
	dir := t.TempDir()
	authority, err := pki.NewAuthority("others", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := request.DER("etcd", []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Issue(der, "etcd", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trusted, _ := authority.PEM()
	files := map[string]string{"ca.pem": trusted, "cert.pem": string(certificate), "key.pem": string(request.KeyPEM()),
		"pair.pem": string(certificate) + string(request.KeyPEM())}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	client := testport.Free(t)
	text, err := json.Marshal(map[string]any{"Name": "e1", "Dir": at("data"), "Peer": testport.Free(t), "Client": client,
		"TLS": engine.Files{Pair: at("pair.pem"), Authority: at("ca.pem")}})
	if err != nil {
		t.Fatal(err)
	}
	c := command(t)
	c.Env = append(os.Environ(), asEtcd+"="+string(text))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("etcd: %q, %v", line, err)
	}
	return &foreign{"https://" + client, at("ca.pem"), at("cert.pem"), at("key.pem")}
}

func (f *foreign) flags() []string {
	return []string{"--etcd", f.endpoint, "--etcd-cacert", f.cacert, "--etcd-cert", f.cert, "--etcd-key", f.key}
}

// TestExternalEtcd: two gateways make a cluster of an etcd that others run, without a token; who is not let in by it is told so, and a
// gateway is not taken in by another one.
func TestExternalEtcd(t *testing.T) {
	c := &nodes{t: t, at: map[string]*running{}, addr: map[string]netip.Addr{}}
	c.addr["g1"], c.addr["g2"] = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	c.port = testport.At(t, "127.0.0.1", "127.0.0.2")
	e := startEtcd(t)
	c.start("g1", e.flags()...)
	c.start("g2", e.flags()...)
	var v member.Volume
	c.ask("g2", &v, "volume", "create", "home", "--backend", "posix:"+share(t, "home"))
	c.client("g1", "home").write("file", "through g1")
	if got := c.client("g2", "home").read("file"); got != "through g1" {
		t.Errorf("%q", got)
	}
	if st := c.status("g1"); !st.Database.External || len(st.Database.Servers) != 1 || !st.Database.Servers[0].Answers || len(st.Nodes) != 2 {
		t.Errorf("%+v, %d nodes", st.Database, len(st.Nodes))
	}
	if err := c.at["g2"].signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	stranger := startEtcd(t)
	base := []string{"node", "--service-address", "127.0.0.2", "--peer", "127.0.0.2:0", "--port", fmt.Sprint(c.port)}
	for _, r := range []struct {
		said, state, name string
		words             []string
	}{
		{"certificate", "", "g3", append(e.flags()[:2:2], "--etcd-cacert", stranger.cacert, "--etcd-cert", e.cert, "--etcd-key", e.key)},
		{"no cluster", c.at["g2"].state, "g2", stranger.flags()},
		{"TLS", "", "g3", []string{"--etcd", "http://192.0.2.1:2379"}},
		{"--etcd", "", "g3", []string{"--etcd-cacert", e.cacert}},
		{"--bootstrap", "", "g3", append(e.flags(), "--bootstrap")},
	} {
		if r.state == "" {
			r.state = filepath.Join(t.TempDir(), "state")
		}
		words := append(append(base[:len(base):len(base)], "--name", r.name, "--state-dir", r.state), r.words...)
		if _, stderr, code := run(t, words...); code == 0 || !strings.Contains(stderr, r.said) {
			t.Errorf("%q: status %d: %s", r.words, code, stderr)
		}
	}
	c.start("g2", e.flags()...)
	if got := c.client("g2", "home").read("file"); got != "through g1" {
		t.Errorf("%q", got)
	}
}
