package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/willscott/go-nfs-client/nfs"

	"causeway/cmd/causeway/member"
)

// fakeID makes a directory with a program id, which knows what cases says; it fails for others.
func fakeID(t *testing.T, cases string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = -G ] || exit 9\ncase $2 in\n" + cases + "\nesac\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "id"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFindGroups(t *testing.T) {
	dir := fakeID(t, strings.Join([]string{
		"+7) echo 7 100 4294967295; exit 0;;",
		"8) echo 8; exit 0;;", // as busybox, without a sign
		"+9) echo nine; exit 0;;",
		"+10) exit 0;;",
		"+11) while :; do echo 1234567890; done;;",
	}, "\n"))
	find := idProgram(filepath.Join(dir, "id")).find
	for _, c := range []struct {
		uid  uint32
		want []uint32
		err  string
	}{
		{7, []uint32{7, 100, 4294967295}, ""}, {8, []uint32{8}, ""}, {9, nil, "exit status 1"},
		{10, nil, "exit status 1"}, {11, nil, "id -G"}, {12, nil, "exit status 1"},
	} {
		got, err := find(context.Background(), c.uid)
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%d: %v, %v", c.uid, got, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := find(ctx, 7); err == nil {
		t.Error("found after the end of its context")
	}
}

// TestFindOwnGroups compares what this machine's id says with what Go reads.
func TestFindOwnGroups(t *testing.T) {
	program, err := exec.LookPath("id")
	if err != nil {
		t.Skip(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	names, err := me.GroupIds()
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.ParseUint(me.Uid, 10, 32)
	groups, err := idProgram(program).find(context.Background(), uint32(uid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if n, _ := strconv.ParseUint(name, 10, 32); !slices.Contains(groups, uint32(n)) {
			t.Errorf("%v: the group %s is missing", groups, name)
		}
	}
}

// TestServeWithGroups has a user whose 20th group, of which an AUTH_SYS credential cannot tell, may read a file.
func TestServeWithGroups(t *testing.T) {
	dir := share(t, "data")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("of the group"), 0o640); err != nil {
		t.Fatal(err)
	}
	group := os.Getgid()
	if os.Getuid() == 0 {
		group = 70020
		if err := os.Chown(file, 4711, group); err != nil {
			t.Fatal(err)
		}
	}
	many := "4242"
	for i := range 18 {
		many += " " + strconv.Itoa(70001+i)
	}
	path := fakeID(t, fmt.Sprintf("+4242) echo %s %d; exit 0;;\n+4243) echo 4243; exit 0;;", many, group))
	for _, c := range []struct {
		args      []string
		uid       uint32
		want, why string
	}{
		{[]string{"--groups"}, 4242, "of the group", "the server knows his group"},
		{[]string{"--groups"}, 4243, "", "the server knows him, and not in the group"},
		{[]string{"--groups"}, 4244, "", "nobody knows him"},
		{nil, 4242, "", "the client's word counts"},
	} {
		r := startServe(t, t.TempDir(), []string{"PATH=" + path + ":" + os.Getenv("PATH")}, append(append(anyPort, dir), c.args...)...)
		if got := readAs(r, c.uid); got != c.want {
			t.Errorf("%s: %d reads %q", c.why, c.uid, got)
		}
		if err := r.signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
}

// readAs reads the file as a user; "" if that is refused.
func readAs(r *running, uid uint32) string {
	r.t.Helper()
	f, err := r.mustMount("data", uid).Open("/file")
	if err != nil {
		return ""
	}
	b := make([]byte, 64)
	n, _ := f.Read(b) // a refusal: nothing
	return string(b[:n])
}

// TestNodeWithGroups has such a user at a gateway of a cluster, which looks again when it is told to.
func TestNodeWithGroups(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a file of another group needs root")
	}
	path := fakeID(t, "+1000) echo 1000 70020; exit 0;;")
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	c, dir := prepareCluster(t), share(t, "home")
	file := filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(file, []byte("of the group"), 0o640), os.Chown(file, 4711, 70020)); err != nil {
		t.Fatal(err)
	}
	r := c.start("g1", "--bootstrap", "--groups")
	var v member.Volume
	c.ask("g1", &v, "volume", "create", "home", "--backend", "posix:"+dir)
	user := c.client("g1", "home")
	reads := func() (text string) {
		user.do(func(target *nfs.Target) error {
			if f, err := target.Open("/file"); err == nil {
				data, _ := io.ReadAll(f) // a refusal: nothing
				text = string(data)
			}
			return nil
		})
		return text
	}
	if got := reads(); got != "of the group" {
		t.Errorf("the server knows his group, and he reads %q", got)
	}
	if err := os.WriteFile(filepath.Join(path, "id"), []byte("#!/bin/sh\necho 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := reads(); got != "of the group" {
		t.Errorf("the answer is remembered, and he reads %q", got)
	}
	if err := r.process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.until("he is in the group no more", func() bool { return reads() == "" })
	if err := r.signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

func TestServeWithoutID(t *testing.T) {
	c := command(t, "serve", share(t, "data"), "--groups", "--state-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--admin", "off")
	c.Env = append(c.Env, "PATH="+t.TempDir())
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "--groups asks the program id") {
		t.Errorf("%v: %s", err, out)
	}
}
