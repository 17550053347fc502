package main

import (
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

	"causeway/admin"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/rpc"
)

var anyPort = []string{"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}

func TestServe(t *testing.T) {
	dir, state := share(t, "data"), filepath.Join(t.TempDir(), "state")
	socket, notified := manager(t)
	r := startServe(t, state, []string{socket}, append(anyPort, dir)...)
	if got := notified(); got != "READY=1" {
		t.Errorf("the service manager hears %q", got)
	}
	for _, want := range []string{"volume /data (sync)", "127.0.0.1:/data", "mount_nfs", "--listen 0.0.0.0:", "--allow 127.0.0.0/8=rw,root_squash,insecure"} {
		if !strings.Contains(r.said, want) {
			t.Errorf("%q is missing in what it prints:\n%s", want, r.said)
		}
	}
	target := r.mustMount("data", someone)
	f, err := target.OpenFile("/file", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	checkStatus(t, r)
	if code, text := r.get("/readyz"); code != 200 {
		t.Error(code, text)
	}
	if _, text := r.get("/metrics"); !strings.Contains(text, `causeway_rpc_replies_total{procedure="WRITE",program="nfs",status="ok",version="3"} 1`) {
		t.Error("the WRITE is not counted")
	}
	if err := r.signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if got := notified(); got != "STOPPING=1" {
		t.Errorf("the service manager hears %q", got)
	}
}

// checkStatus compares `causeway status --json` with what is known of r: one volume, one client.
func checkStatus(t *testing.T, r *running) {
	t.Helper()
	text, stderr, code := run(t, "status", "--json", "--state-dir", r.state)
	st := admin.Status{}
	if err := json.Unmarshal([]byte(text), &st); err != nil || code != 0 {
		t.Fatal(err, code, stderr)
	}
	if len(st.Volumes) != 1 || st.Volumes[0].Name != "data" || st.Volumes[0].Total == 0 || st.Volumes[0].Error != "" ||
		st.Volumes[0].Calls == 0 || st.Volumes[0].BytesIn == 0 || st.Volumes[0].Storage.Descriptors == 0 || st.Volumes[0].Storage.SyncRequests == 0 {
		t.Errorf("volumes: %+v", st.Volumes)
	}
	if len(st.Clients) != 1 || st.Clients[0].Address != "127.0.0.1" || st.Clients[0].Calls == 0 || len(st.Clients[0].Mounts) != 1 {
		t.Errorf("clients: %+v", st.Clients)
	}
	if !st.Process.Ready || st.Process.PID != r.process.Process.Pid || st.Traffic.Connections != 1 {
		t.Errorf("%+v %+v", st.Process, st.Traffic)
	}
	if st.Replies.Entries == 0 || st.Locking.Grace || len(st.Caches) != 2 {
		t.Errorf("%+v %+v %+v", st.Replies, st.Locking, st.Caches)
	}
	if _, said, code := run(t, "unlock", "127.0.0.1", "--state-dir", r.state); code != 1 || !strings.Contains(said, "no client with locks 127.0.0.1") {
		t.Errorf("unlock: %d, %s", code, said)
	}
	table, _, _ := run(t, "status", "--state-dir", r.state)
	for _, want := range []string{"ready for", "/data ", st.Volumes[0].ID, "127.0.0.1 ", "0 locks held", "remembered"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing in the table:\n%s", want, table)
		}
	}
}

func TestHandlesSurviveAKill(t *testing.T) {
	dir, state := share(t, "data"), t.TempDir()
	r := startServe(t, state, nil, append(anyPort, dir)...)
	target := r.mustMount("data", someone)
	if _, err := target.Create("/file", 0o644); err != nil {
		t.Fatal(err)
	}
	_, handle, err := target.Lookup("/file")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.signal(syscall.SIGKILL); err == nil {
		t.Error("killed, and ended well")
	}
	if err := os.Rename(filepath.Join(dir, "file"), filepath.Join(dir, "renamed")); err != nil {
		t.Fatal(err)
	}
	again := startServe(t, state, nil, "--listen", r.nfs.String(), "--admin", "off", "other="+dir)
	attr, err := again.mustMount("other", someone).GetAttr(handle)
	if err != nil || attr.FileMode != 0o644 {
		t.Errorf("a handle from before, of a file and a volume that have other names now: %+v, %v", attr, err)
	}
}

func TestReload(t *testing.T) {
	one, two, file := share(t, "one"), share(t, "two"), filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("volumes:\n  - path: " + one + "\n")
	socket, notified := manager(t)
	state := t.TempDir()
	r := startServe(t, state, []string{socket}, append(anyPort, "--config", file)...)
	notified()
	mounted := r.mustMount("one", someone)
	if _, err := mounted.Create("/before", 0o644); err != nil {
		t.Fatal(err)
	}

	write("volumes:\n  - {path: " + one + ", allow: [127.0.0.0/8=ro]}\n  - path: " + two + "\n")
	if err := r.process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if got := notified(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("the service manager hears %q", got)
	}
	if got := notified(); got != "READY=1" {
		t.Errorf("the service manager hears %q", got)
	}
	if _, err := mounted.Create("/after", 0o644); err == nil {
		t.Error("the volume is read-only now, and takes a file")
	}
	if _, err := r.mustMount("two", someone).Create("/file", 0o644); err != nil {
		t.Errorf("a volume that was added: %v", err)
	}

	write("volumes:\n  - path: " + one + "\n    allow: [nobody]\n")
	if _, stderr, code := run(t, "reload", "--state-dir", state); code != 1 || !strings.Contains(stderr, file+":3:13: ") {
		t.Errorf("status %d for a wrong file: %s", code, stderr)
	}
	if _, err := r.mount("two", someone); err != nil {
		t.Errorf("after a wrong file: %v", err)
	}

	write("listen: 127.0.0.1:1\naware: 9450\ngrace: 5s\nvolumes:\n  - path: " + one + "\n")
	if out, stderr, code := run(t, "reload", "--state-dir", state); code != 0 || !strings.Contains(out, "1 volume served; what changed of aware, grace takes effect at the next start") {
		t.Errorf("status %d: %s%s", code, out, stderr)
	}
	if _, err := r.mount("two", someone); err == nil {
		t.Error("a volume that is gone can be mounted")
	}
	if _, err := mounted.Create("/again", 0o644); err != nil {
		t.Errorf("the volume can be written again: %v", err)
	}
}

// TestReloadOfModes makes a volume read-only and writable again, while a file of it is open at the gateway.
func TestReloadOfModes(t *testing.T) {
	dir, file, state := share(t, "data"), filepath.Join(t.TempDir(), "c.yaml"), t.TempDir()
	var r *running
	reload := func(mode, want string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("volumes:\n  - path: "+dir+"\n"+mode), 0o600); err != nil {
			t.Fatal(err)
		}
		if r == nil {
			r = startServe(t, state, nil, append(anyPort, "--config", file)...)
			return
		}
		if out, stderr, code := run(t, "reload", "--state-dir", state); code != 0 || out != want {
			t.Errorf("status %d: %q%s, want %q", code, out, stderr, want)
		}
	}
	reload("", "")
	target := r.mustMount("data", someone)
	name := filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(name, []byte("x"), 0o666), os.Chmod(name, 0o666)); err != nil {
		t.Fatal(err)
	}
	reload("    read-only: true\n", "1 volume served\n")
	if _, err := target.Create("/new", 0o644); err == nil {
		t.Error("the volume is read-only, and takes a file")
	}
	if f, err := target.Open("/file"); err != nil {
		t.Error(err)
	} else if _, err := f.Read(make([]byte, 1)); err != nil && err != io.EOF { // under a grant for reading alone
		t.Error(err)
	}
	reload("", "1 volume served\n")
	if f, err := target.OpenFile("/file", 0o666); err != nil {
		t.Error(err)
	} else if _, err := f.Write([]byte("y")); err != nil {
		t.Errorf("the volume can be written again: %v", err)
	}
	reload("    exclusive: true\n", "1 volume served; volume data: exclusive takes effect at the next start\n")
	if table, _, _ := run(t, "status", "--state-dir", state); strings.Contains(table, "exclusive") {
		t.Errorf("status shows what is not in force:\n%s", table)
	}
}

func TestRulesOfTheCommandLine(t *testing.T) {
	dir := share(t, "data")
	r := startServe(t, t.TempDir(), nil, append(anyPort, dir, "--allow", "10.0.0.0/8=rw", "--allow", "192.168.0.0/16=ro")...)
	if _, err := r.mount("data", someone); err == nil {
		t.Error("loopback has no rule and is let in")
	}
}

func TestTwoGateways(t *testing.T) {
	dir, state := share(t, "data"), t.TempDir()
	r := startServe(t, state, nil, append(anyPort, dir)...)
	for _, c := range []struct{ state, listen, want string }{
		{state, "127.0.0.1:0", "another causeway process is using it (process "},
		{t.TempDir(), r.nfs.String(), "is in use"},
	} {
		_, stderr, code := run(t, "serve", dir, "--state-dir", c.state, "--listen", c.listen, "--admin", "off")
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("status %d, %q; want %q", code, stderr, c.want)
		}
	}
	if _, err := r.mount("data", someone); err != nil {
		t.Errorf("the first gateway suffers: %v", err)
	}
}

// TestLongStateDirectory has a path that is too long for a unix socket.
func TestLongStateDirectory(t *testing.T) {
	state := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "state")
	r := startServe(t, state, nil, append(anyPort, share(t, "data"))...)
	if out, stderr, code := run(t, "status", "--state-dir", state); code != 0 || !strings.Contains(out, "ready for") {
		t.Error(code, stderr)
	}
	info, err := os.Stat(filepath.Join(r.state, controlName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// TestNetworks: a sender's address is proven by TCP alone, and rules go by it, so NFS is not served by UDP; what says nothing
// secret and changes no file is.
func TestNetworks(t *testing.T) {
	r := startServe(t, t.TempDir(), nil, append(anyPort, share(t, "data"))...)
	for _, test := range []struct {
		network    string
		prog, vers uint32
		want       error
	}{
		{"tcp", nfsProgram, 3, nil}, {"udp", nfsProgram, 3, rpc.ErrProcUnavail},
		{"tcp", mount.Program, 3, nil}, {"udp", mount.Program, 3, nil}, {"udp", nlm.NSMProgram, 1, nil},
	} {
		err := rpc.CallOnce(t.Context(), test.network, netip.AddrPort{}, r.nfs, test.prog, test.vers, 0, nil, nil, nil)
		if !errors.Is(err, test.want) {
			t.Errorf("NULL of program %d by %s: %v", test.prog, test.network, err)
		}
	}
}

// TestManyConnections: a client that opens connections without end leaves room for other clients and for files.
func TestManyConnections(t *testing.T) {
	r := startServe(t, t.TempDir(), []string{fewDescriptors + "=400"}, append(anyPort, share(t, "data"))...)
	for range 500 {
		nc, err := net.Dial("tcp4", r.nfs.String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, Timeout: patience}
	nc, err := other.Dial("tcp4", r.nfs.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	var null []byte
	for _, word := range []uint32{1<<31 | 40, 1, 0, 2, nfsProgram, 3, 0, 0, 0, 0, 0} {
		null = binary.BigEndian.AppendUint32(null, word)
	}
	nc.Write(null)
	if _, err := io.ReadFull(nc, make([]byte, 28)); err != nil {
		t.Error("another client is not served:", err)
	}
	if files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.process.Process.Pid)); err == nil && len(files) > 300 {
		t.Errorf("%d of 400 descriptors are in use", len(files))
	}
}
