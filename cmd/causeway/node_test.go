package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	nfsrpc "github.com/willscott/go-nfs-client/nfs/rpc"

	"causeway/cmd/causeway/member"
	"causeway/gateway/nfs/xdr"
	"causeway/internal/testport"
)

// nodes are the gateways of a cluster, each a process with an address of its own.
type nodes struct {
	t    *testing.T
	port uint16
	peer uint16 // of --peer; 0: any, another at each start
	at   map[string]*running
	addr map[string]netip.Addr
}

// start runs a gateway and waits until it is ready.
func (c *nodes) start(name string, words ...string) *running {
	c.t.Helper()
	r := &running{t: c.t, end: make(chan error, 1)}
	if old := c.at[name]; old != nil {
		r.state = old.state
	} else {
		r.state = filepath.Join(c.t.TempDir(), name)
	}
	r.process = command(c.t, append([]string{"node", "--name", name, "--service-address", c.addr[name].String(), "--peer", fmt.Sprintf("%v:%d", c.addr[name], c.peer),
		"--port", fmt.Sprint(c.port), "--state-dir", r.state}, words...)...)
	r.process.Stderr = r
	out, err := r.process.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := r.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		r.process.Process.Kill()
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", name, r.logged())
		}
	})
	lines := bufio.NewReader(out)
	for r.said == "" || !strings.HasSuffix(r.said, "\nready\n") {
		line, err := lines.ReadString('\n')
		if err != nil {
			r.process.Wait()
			c.t.Fatalf("%s does not get ready: %v\n%s%s", name, err, r.said, r.logged())
		}
		r.said += line
	}
	go func() {
		io.Copy(io.Discard, lines)
		r.end <- r.process.Wait()
	}()
	c.at[name] = r
	return r
}

// startCluster runs three gateways.
func startCluster(t *testing.T) *nodes {
	t.Helper()
	c := prepareCluster(t)
	c.startAll()
	return c
}

// prepareCluster chooses addresses for three gateways.
func prepareCluster(t *testing.T) *nodes {
	t.Helper()
	c := &nodes{t: t, at: map[string]*running{}, addr: map[string]netip.Addr{}}
	for i := range 3 {
		c.addr[fmt.Sprint("g", i+1)] = netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})
	}
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("this system has no other loopback addresses: ", err)
	} else {
		l.Close()
	}
	c.port = testport.At(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	return c
}

// startAll runs the gateways, each with these words beside its own.
func (c *nodes) startAll(words ...string) {
	c.t.Helper()
	c.start("g1", append([]string{"--bootstrap"}, words...)...)
	c.join("g2", words...)
	c.join("g3", words...)
}

// join runs a gateway that joins g1.
func (c *nodes) join(name string, words ...string) {
	c.t.Helper()
	token := member.Token{}
	c.ask("g1", &token, "token")
	c.start(name, append([]string{"--join", token.Peer, "--token", token.Token}, words...)...)
}

// anotherPort finds one, beside that of NFS, for all gateways.
func (c *nodes) anotherPort() string {
	c.t.Helper()
	return fmt.Sprint(testport.At(c.t, "127.0.0.1", "127.0.0.2", "127.0.0.3"))
}

// ask runs a command at a gateway and reads its JSON.
func (c *nodes) ask(name string, into any, words ...string) {
	c.t.Helper()
	out, stderr, code := run(c.t, append(words, "--json", "--state-dir", c.at[name].state)...)
	if code != 0 {
		c.t.Fatalf("%v at %s: status %d: %s", words, name, code, stderr)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		c.t.Fatalf("%v at %s: %v: %s", words, name, err, out)
	}
}

// status is the cluster as a gateway sees it.
func (c *nodes) status(name string) *member.Status {
	c.t.Helper()
	var st struct{ Cluster *member.Status }
	c.ask(name, &st, "status")
	return st.Cluster
}

// owner says who administers a volume, "" if nobody serves it.
func (c *nodes) owner(asked, volume string) string {
	c.t.Helper()
	for _, v := range c.status(asked).Volumes {
		if v.Name == volume && v.Serving {
			return v.Owner
		}
	}
	return ""
}

// until waits for what will come.
func (c *nodes) until(what string, ok func() bool) time.Duration {
	c.t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > patience {
			c.t.Fatalf("it never came about: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begun)
}

// client is a user of a volume who stays with one service address, and dials it again when the connection breaks.
type client struct {
	t      *testing.T
	at     netip.AddrPort
	volume string
	target *nfs.Target
}

func (c *nodes) client(at, volume string) *client {
	return &client{t: c.t, at: netip.AddrPortFrom(c.addr[at], c.port), volume: volume}
}

func (u *client) dial() error {
	c, err := nfsrpc.DialTCP("tcp", u.at.String(), false)
	if err != nil {
		return err
	}
	u.t.Cleanup(c.Close)
	m := nfs.Mount{Client: c}
	u.target, err = m.Mount("/"+u.volume, nfsrpc.NewAuthUnix("test", 1000, 1000).Auth())
	return err
}

// do does something until its connection does not break in the middle. An answer that is an error ends the test.
func (u *client) do(what func(*nfs.Target) error) time.Duration {
	u.t.Helper()
	begun := time.Now()
	for {
		var err error
		if u.target == nil {
			if err = u.dial(); err != nil {
				u.target = nil
			}
		}
		if err == nil {
			if err = what(u.target); err == nil {
				return time.Since(begun)
			}
			u.target = nil
		}
		status := (*nfs.Error)(nil)
		if errors.As(err, &status) || time.Since(begun) > patience {
			u.t.Fatalf("at %v: %v", u.at, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (u *client) write(name, text string) time.Duration {
	u.t.Helper()
	return u.do(func(target *nfs.Target) error {
		f, err := target.OpenFile("/"+name, 0o644)
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte(text)); err != nil {
			return err
		}
		return f.Close()
	})
}

func (u *client) read(name string) (text string) {
	u.t.Helper()
	u.do(func(target *nfs.Target) error {
		f, err := target.Open("/" + name)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(f)
		text = string(data)
		return err
	})
	return text
}

// mkdir sends a MKDIR (RFC 1813 §3.3.9) with an xid over a connection of its own, again when that breaks, and returns the reply.
func (u *client) mkdir(xid uint32, name string) []byte {
	u.t.Helper()
	var root []byte
	u.do(func(target *nfs.Target) (err error) {
		_, root, err = target.Lookup("/")
		return err
	})
	e := xdr.NewEncoder(nil)
	for _, word := range []uint32{0, xid, 0, 2, nfsProgram, 3, 9, 1, 20, 0, 0, 1000, 1000, 0, 0, 0} { // AUTH_SYS, then no verifier
		e.Uint32(word)
	}
	e.Opaque(root)
	e.String(name)
	for range 6 { // no attributes
		e.Uint32(0)
	}
	e.PatchUint32(0, 1<<31|uint32(e.Len()-4))
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) { // as clients do: with the same xid until there is an answer
		reply, err := exchange(u.at.String(), e.Bytes())
		if err == nil && len(reply) >= 28 {
			return reply
		}
		if time.Since(begun) > patience {
			u.t.Fatal(err, reply)
		}
	}
}

// exchange sends a record and returns the one that comes back.
func exchange(at string, record []byte) ([]byte, error) {
	nc, err := net.Dial("tcp4", at)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write(record); err != nil {
		return nil, err
	}
	var mark [4]byte
	if _, err := io.ReadFull(nc, mark[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint32(mark[:])&(1<<31-1))
	_, err = io.ReadFull(nc, reply)
	return reply, err
}

// TestCluster: three gateways, a volume that all of them answer for, the death of the one that administers it, and its return.
func TestCluster(t *testing.T) {
	c, dir := startCluster(t), share(t, "home")
	var v member.Volume
	c.ask("g2", &v, "volume", "create", "home", "--backend", "posix:"+dir)
	if v.Name != "home" || v.ID == 0 || !v.Serving {
		t.Fatalf("%+v", v)
	}
	users := map[string]*client{}
	for name := range c.addr {
		users[name] = c.client(name, "home")
		users[name].write("from-"+name, name)
	}
	for name := range c.addr {
		if got := users[v.Owner].read("from-" + name); got != name {
			t.Errorf("what was written through %s reads %q at the owner", name, got)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "from-"+name)); err != nil || string(got) != name {
			t.Errorf("%q, %v", got, err)
		}
	}
	for name := range c.addr {
		c.until(name+" knows three servers of the database", func() bool {
			text, err := os.ReadFile(filepath.Join(c.at[name].state, "cluster", "cluster.json"))
			return err == nil && strings.Count(string(text), "https://") == 3
		})
	}
	var handle []byte
	users[v.Owner].do(func(target *nfs.Target) (err error) {
		_, handle, err = target.Lookup("/from-g1")
		return err
	})

	dead := v.Owner
	rest := []string{}
	for name := range c.addr {
		if name != dead {
			rest = append(rest, name)
		}
	}
	first := users[rest[0]].mkdir(7, "made-once")
	if status := binary.BigEndian.Uint32(first[24:]); status != 0 {
		t.Fatalf("MKDIR: status %d", status)
	}
	if err := c.at[dead].signal(syscall.SIGKILL); err == nil {
		t.Error("killed, and ended well")
	}
	t.Logf("a client of %s wrote again %v after it was killed", dead, users[dead].write("after", "death"))
	t.Logf("a client of %s, %v after that", rest[0], users[rest[0]].write("after-too", "death"))
	if taker := c.owner(rest[0], "home"); taker == dead || taker == "" {
		t.Errorf("administered by %q", taker)
	}
	if again := users[rest[0]].mkdir(7, "made-once"); !bytes.Equal(first, again) {
		t.Errorf("a MKDIR that was made by the dead gateway is answered\n%x, and then\n%x", first, again)
	}
	if status := binary.BigEndian.Uint32(users[rest[0]].mkdir(8, "made-once")[24:]); status != 17 {
		t.Errorf("another MKDIR of the same name: status %d, not NFS3ERR_EXIST", status)
	}
	users[dead].do(func(target *nfs.Target) error {
		attr, err := target.GetAttr(handle)
		if err == nil && attr.FileMode != 0o644 {
			t.Errorf("a handle from before: %+v", attr)
		}
		return err
	})
	for _, name := range []string{"after", "after-too"} {
		if got := users[rest[1]].read(name); got != "death" {
			t.Errorf("%s reads %q", name, got)
		}
	}

	c.start(dead)
	c.until("its address returns", func() bool {
		for _, a := range c.status(dead).Addresses {
			if a.Home == dead && a.At == dead {
				return true
			}
		}
		return false
	})
	users[dead].write("back", "again")
	if got := users[rest[0]].read("back"); got != "again" {
		t.Errorf("%q", got)
	}
	for name := range c.addr {
		if err := c.at[name].signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s stops: %v", name, err)
		}
	}
}
