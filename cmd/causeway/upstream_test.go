package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/willscott/go-nfs-client/nfs"

	"causeway/cmd/causeway/member"
	"causeway/internal/testport"
)

// upstream serves a directory over SMB to ann, whose password is "secret".
func upstream(t *testing.T, dir, state string) (address string) {
	t.Helper()
	userCommand(t, state, "secret", "add", "ann", "--uid", fmt.Sprint(os.Getuid()), "--gid", fmt.Sprint(os.Getgid()))
	r := startServe(t, state, nil, append(anyPort, dir, "--smb", "127.0.0.1:0")...)
	port := regexp.MustCompile(`port=(\d+) //127.0.0.1/data`).FindStringSubmatch(r.said)
	if port == nil {
		t.Fatal(r.said)
	}
	return "smb://ann@127.0.0.1:" + port[1] + "/data"
}

// TestShareInCluster: a share of another server is a volume of a cluster. One gateway uses it, all serve it, another one takes it over, with the
// password that was set last; nobody is told passwords.
func TestShareInCluster(t *testing.T) {
	dir, state, passwords := share(t, "data"), filepath.Join(t.TempDir(), "state"), t.TempDir()
	for name, text := range map[string]string{"old": "secret", "new": "another", "wrong": "guess"} {
		if err := os.WriteFile(filepath.Join(passwords, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return filepath.Join(passwords, name) }
	c, backend := startCluster(t), upstream(t, dir, state)
	create := []string{"volume", "create", "old", "--backend", backend, "--uid", "1000", "--gid", "1000"}
	if text := c.fails("g2", create...); !strings.Contains(text, "--password-file") {
		t.Error("without a password:", text)
	}
	if text := c.fails("g2", append(create, "--password-file", file("wrong"))...); !strings.Contains(text, "ann") || strings.Contains(text, "guess") {
		t.Error("with a wrong one:", text)
	}
	if text := c.fails("g2", append(create, "--password-file", file("old"), "--exclusive")...); !strings.Contains(text, "exclusive") {
		t.Error("exclusive:", text)
	}
	var v member.Volume
	c.ask("g2", &v, append(create, "--password-file", file("old"))...)
	if v.Name != "old" || !v.Serving || v.Backend != backend {
		t.Fatalf("%+v", v)
	}
	users := map[string]*client{}
	for name := range c.addr {
		users[name] = c.client(name, "old")
		users[name].write("from-"+name, name)
		if got, err := os.ReadFile(filepath.Join(dir, "from-"+name)); err != nil || string(got) != name {
			t.Errorf("at the server: %q, %v", got, err)
		}
	}
	for name := range c.addr {
		for from := range c.addr {
			if got := users[name].read("from-" + from); got != from {
				t.Errorf("at %s, what was written through %s: %q", name, from, got)
			}
		}
	}
	userCommand(t, state, "another", "passwd", "ann")
	c.ask("g1", &v, "volume", "set", "old", "--password-file", file("new"))
	c.until("any gateway may be lost", func() bool {
		text, err := os.ReadFile(filepath.Join(c.at["g3"].state, "cluster", "cluster.json"))
		return err == nil && strings.Count(string(text), "https://") == 3
	})
	dead := v.Owner
	if err := c.at[dead].signal(syscall.SIGKILL); err == nil {
		t.Error("killed, and ended well")
	}
	for name := range c.addr {
		if name == dead {
			continue
		}
		users[name].write("after-"+name, "another owner")
		if got, err := os.ReadFile(filepath.Join(dir, "after-"+name)); err != nil || string(got) != "another owner" {
			t.Errorf("at the server: %q, %v", got, err)
		}
		out, _, _ := run(t, "volume", "ls", "--json", "--state-dir", c.at[name].state)
		for _, secret := range []string{"secret", "another", "share-password"} {
			if strings.Contains(out, secret) || strings.Contains(c.at[name].logged(), `"`+secret+`"`) {
				t.Errorf("%s tells a password: %s", name, out)
			}
		}
	}
}

// TestShareGrows: a gateway that serves a share of another server alone becomes the first one of a cluster, and clients keep their handles.
func TestShareGrows(t *testing.T) {
	dir, password := share(t, "data"), filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &nodes{t: t, port: testport.At(t, "127.0.0.1"), at: map[string]*running{}, addr: map[string]netip.Addr{"g1": netip.MustParseAddr("127.0.0.1")}}
	words := []string{"old=" + upstream(t, dir, t.TempDir()), "--password-file", password, "--listen", fmt.Sprintf("127.0.0.1:%d", c.port), "--admin", "off"}
	c.at["g1"] = startServe(t, filepath.Join(t.TempDir(), "g1"), nil, words...)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	user := c.client("g1", "old")
	var handle []byte
	user.do(func(target *nfs.Target) (err error) {
		_, handle, err = target.Lookup("/")
		return err
	})
	token := member.Token{}
	c.ask("g1", &token, "token", "--name", "g1", "--peer", fmt.Sprintf("127.0.0.1:%d", freePorts(t, "127.0.0.1")))
	user.do(func(target *nfs.Target) error {
		_, err := target.GetAttr(handle)
		return err
	})
	if owner := c.owner("g1", "old"); owner != "g1" {
		t.Errorf("administered by %q", owner)
	}
	if err := c.at["g1"].signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
