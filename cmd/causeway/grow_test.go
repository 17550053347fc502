package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"

	"causeway/cmd/causeway/member"
	"causeway/internal/testport"
)

// freePorts finds a port that is free on all of the addresses, with five free ones behind it.
func freePorts(t *testing.T, addrs ...string) uint16 {
	t.Helper()
	for range 100 {
		port, free := netip.MustParseAddrPort(testport.Free(t)).Port(), true
		for i := range uint16(6 * len(addrs)) {
			l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addrs[int(i)%len(addrs)], port+i/uint16(len(addrs))))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free && port < 65000 {
			return port
		}
	}
	t.Fatal("no six ports are free")
	return 0
}

// TestServeGrows: a gateway serves a directory alone, becomes the first one of a cluster while a client works, is joined by a second,
// and is started again. The client keeps its handles, and what it may do.
func TestServeGrows(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("this system has no other loopback addresses: ", err)
	} else {
		l.Close()
	}
	dir, c := share(t, "data"), &nodes{t: t, at: map[string]*running{}, addr: map[string]netip.Addr{}}
	c.port = testport.At(t, "127.0.0.1", "127.0.0.2")
	c.addr["g1"], c.addr["g2"] = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	words := []string{"data=" + dir, "--listen", fmt.Sprintf("127.0.0.1:%d", c.port), "--admin", "off", "--allow", "127.0.0.0/8=rw,insecure"}
	begun, state := time.Now(), filepath.Join(t.TempDir(), "g1")
	userCommand(t, state, "secret", "add", "ann", "--uid", "1000", "--gid", "1000")
	alone := startServe(t, state, nil, words...)
	t.Logf("ready alone after %v", time.Since(begun))
	c.at["g1"] = alone
	user := c.client("g1", "data")
	user.write("before", "alone")
	var handle []byte
	user.do(func(target *nfs.Target) (err error) {
		_, handle, err = target.Lookup("/before")
		return err
	})

	if _, stderr, code := run(t, "volume", "ls", "--state-dir", alone.state); code == 0 || !strings.Contains(stderr, "causeway token") {
		t.Errorf("a gateway that is alone says: %s", stderr)
	}
	peer := fmt.Sprintf("127.0.0.1:%d", freePorts(t, "127.0.0.1"))
	grow, grown := command(t, "token", "--name", "g1", "--peer", peer, "--json", "--state-dir", alone.state), make(chan []byte, 1)
	go func() {
		out, err := grow.Output()
		if err != nil {
			t.Error(err)
		}
		grown <- out
	}()
	token, longest, worker := member.Token{}, time.Duration(0), c.client("g1", "data")
	for i := 0; token.Token == ""; i++ { // a client works meanwhile
		select {
		case out := <-grown:
			if err := json.Unmarshal(out, &token); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		default:
			longest = max(longest, worker.write(fmt.Sprint("during-", i%10), "growth"))
		}
	}
	t.Logf("a client waited for %v at most while the gateway became one of a cluster", longest)
	if token.Peer != peer {
		t.Errorf("to be joined at %s", token.Peer)
	}
	check := func(at string) {
		t.Helper()
		user := c.client(at, "data")
		user.do(func(target *nfs.Target) error {
			_, err := target.GetAttr(handle)
			return err
		})
		if got := user.read("before"); got != "alone" {
			t.Errorf("%q", got)
		}
	}
	check("g1")
	st := c.status("g1")
	if v := st.Volumes; len(v) != 1 || v[0].Name != "data" || v[0].Owner != "g1" || len(v[0].Allow) != 1 || v[0].Allow[0].Prefix.String() != "127.0.0.0/8" {
		t.Errorf("%+v", v)
	}
	if who, _, code := run(t, "user", "ls", "--state-dir", alone.state); code != 0 || !strings.Contains(who, "ann") {
		t.Errorf("who could log on before cannot now: %s", who)
	}
	c.start("g2", "--join", token.Peer, "--token", token.Token)
	check("g2")

	if _, stderr, code := run(t, "user", "rm", "ann", "--state-dir", alone.state); code != 0 {
		t.Error(stderr)
	}
	if err := alone.signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	c.at["g1"] = startServe(t, alone.state, nil, words...)
	check("g1")
	if who, _, code := run(t, "user", "ls", "--state-dir", alone.state); code != 0 || strings.Contains(who, "ann") {
		t.Errorf("who was removed can log on again: %s", who)
	}
	if first := user.mkdir(1, "still"); binary.BigEndian.Uint32(first[24:]) != 0 {
		t.Errorf("MKDIR: %x", first)
	}
	if _, stderr, code := run(t, "cluster", "init", "--state-dir", alone.state); code == 0 || !strings.Contains(stderr, "already") {
		t.Errorf("init twice: %s", stderr)
	}
	if err := c.at["g2"].signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if _, stderr, code := run(t, append([]string{"serve", "--state-dir", c.at["g2"].state}, words...)...); code != 1 || !strings.Contains(stderr, "causeway node") {
		t.Errorf("serve with a node's state: status %d: %s", code, stderr)
	}
}

// TestServeDoesNotGrow: what cannot be is refused, and the gateway goes on as it was.
func TestServeDoesNotGrow(t *testing.T) {
	dir := share(t, "data")
	r := startServe(t, filepath.Join(t.TempDir(), "state"), nil, "data="+dir, "--listen", "127.0.0.1:0", "--admin", "off")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct{ said, words string }{
		{taken.Addr().String(), "--peer " + taken.Addr().String()},
		{"name", "--name a/b --peer 127.0.0.1:0"},
		{"not an IP address", "--peer nowhere"},
	} {
		_, stderr, code := run(t, append([]string{"token", "--state-dir", r.state}, strings.Fields(c.words)...)...)
		if code == 0 || !strings.Contains(stderr, c.said) {
			t.Errorf("%s: status %d: %s", c.words, code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(r.state, foundingName)); err == nil {
		t.Error("it will be one of a cluster at its next start")
	}
	at := regexp.MustCompile(`serves NFSv3 on (\S+)`).FindStringSubmatch(r.said)
	user := &client{t: t, at: netip.MustParseAddrPort(at[1]), volume: "data"}
	user.write("file", "alone")
	if got := user.read("file"); !bytes.Equal([]byte(got), []byte("alone")) {
		t.Errorf("%q", got)
	}
}

// TestServeGoesOnAlone: a gateway that stopped to become one of a cluster, and then could not, serves alone as before.
func TestServeGoesOnAlone(t *testing.T) {
	dir := share(t, "data")
	r := startServe(t, filepath.Join(t.TempDir(), "state"), nil, "data="+dir, "--listen", "127.0.0.1:0", "--admin", "off")
	if err := os.WriteFile(filepath.Join(r.state, "cluster"), []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	peer := fmt.Sprintf("127.0.0.1:%d", freePorts(t, "127.0.0.1"))
	if _, stderr, code := run(t, "token", "--name", "g1", "--peer", peer, "--state-dir", r.state); code != 1 || !strings.Contains(stderr, "it goes on alone") {
		t.Fatalf("status %d: %s", code, stderr)
	}
	if stdout, stderr, code := run(t, "status", "--state-dir", r.state); code != 0 || !strings.Contains(stdout, "/data") {
		t.Fatalf("status %d: %s", code, stderr)
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // what was in the way is gone, and it becomes one
		_, stderr, code := run(t, "token", "--name", "g1", "--peer", peer, "--state-dir", r.state)
		if code == 0 {
			break
		}
		if time.Since(begun) > patience {
			t.Fatal(stderr)
		}
	}
}
