package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/cloudsoda/go-smb2"

	"causeway/cmd/causeway/accounts"
	"causeway/gateway/smb/auth"
)

// mountSMB logs on at an address and mounts a share.
func mountSMB(t *testing.T, addr, user, password, share string) (*smb2.Share, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: user, Password: password}}
	session, err := d.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = session.Logoff() })
	return session.Mount(share)
}

// smbCluster runs two gateways, those that are named with SMB on a port, and lets who runs the tests log on as ann.
func smbCluster(t *testing.T, serving ...string) (c *nodes, dir, port string) {
	t.Helper()
	c, dir = prepareCluster(t), share(t, "home")
	port = c.anotherPort()
	words := map[string][]string{}
	for _, name := range serving {
		words[name] = []string{"--smb", port}
	}
	c.start("g1", append(words["g1"], "--bootstrap")...)
	c.join("g2", words["g2"]...)
	userCommand(t, c.at["g2"].state, "secret", "add", "ann", "--uid", fmt.Sprint(os.Getuid()), "--gid", fmt.Sprint(os.Getgid()))
	return c, dir, port
}

// userCommand runs causeway user with a password at its standard input.
func userCommand(t *testing.T, state, password string, words ...string) string {
	t.Helper()
	c := command(t, append(append([]string{"user"}, words...), "--state-dir", state)...)
	c.Stdin = strings.NewReader(password + "\n")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return string(out)
}

func TestServeSMB(t *testing.T) {
	dir, state := share(t, "data"), filepath.Join(t.TempDir(), "state")
	own := []string{"--uid", fmt.Sprint(os.Getuid()), "--gid", fmt.Sprint(os.Getgid())}
	userCommand(t, state, "secret", append([]string{"add", "Ann"}, own...)...)
	file := filepath.Join(t.TempDir(), "config.yaml")
	config := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: off\nsmb: 127.0.0.1:0\nvolumes:\n  - path: %s\n    smb-users: [ann, bob]\n  - path: %s\n    smb: off\n", dir, share(t, "hidden"))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startServe(t, state, nil, "--config", file)
	m := regexp.MustCompile(`mount -t cifs -o vers=3.1.1,username=Ann,port=(\d+) //127.0.0.1/data /mnt`).FindStringSubmatch(r.said)
	if m == nil || strings.Contains(r.said, "share hidden") {
		t.Fatal(r.said)
	}
	addr := "127.0.0.1:" + m[1]

	fs, err := mountSMB(t, addr, "ann", "secret", "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile("hello", []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "hello")); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := fs.ReadFile("HELLO"); err != nil || string(got) != "hello" {
		t.Errorf("in another case: %q, %v", got, err)
	}
	if _, err := mountSMB(t, addr, "ann", "secret", "hidden"); err == nil {
		t.Error("a volume that is no share was mounted")
	}
	if _, err := mountSMB(t, addr, "ann", "wrong", "data"); err == nil {
		t.Error("a wrong password was good")
	}

	// What commands change counts at once.
	userCommand(t, state, "b", append([]string{"add", "bob"}, own...)...)
	userCommand(t, state, "c", append([]string{"add", "carl"}, own...)...)
	userCommand(t, state, "other", "passwd", "ann")
	userCommand(t, state, "", "rm", "bob")
	if _, err := mountSMB(t, addr, "ann", "secret", "data"); err == nil {
		t.Error("the password of before was good")
	}
	if _, err := mountSMB(t, addr, "ann", "other", "data"); err != nil {
		t.Error(err)
	}
	if _, err := mountSMB(t, addr, "bob", "b", "data"); err == nil {
		t.Error("a user who was removed logged on")
	}
	if _, err := mountSMB(t, addr, "carl", "c", "data"); err == nil {
		t.Error("a user who is not named mounted the share")
	}
	var list []accounts.Shown
	out := userCommand(t, state, "", "ls", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || list[0].Name != "Ann" || list[1].Name != "carl" {
		t.Errorf("%v\n%s", err, out)
	}
	hash := auth.NTHash("other")
	for _, secret := range []string{"other", string(hash[:]), fmt.Sprintf("%x", hash)} {
		if strings.Contains(out, secret) || strings.Contains(r.logged(), secret) {
			t.Errorf("%q is told", secret)
		}
	}
	if err := r.signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

// followReferrals works in a share of a cluster with a client that asks for referrals, and for paths as DFS has them.
func followReferrals(t *testing.T, server, port string) {
	t.Helper()
	if _, err := exec.LookPath("smbclient"); err != nil {
		t.Log("smbclient is not installed")
		return
	}
	out, err := exec.Command("smbclient", "//"+server+"/home", "-p", port, "-U", "ann%secret", "-c",
		"mkdir referred; cd referred; put smb_test.go a; rename a b; ls; showconnect").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("  b  ")) || !bytes.Contains(out, []byte("//"+server+"/home")) {
		t.Errorf("smbclient: %v\n%s", err, out)
	}
}

// TestSMBInCluster: a user and the settings of a share count at all gateways.
func TestSMBInCluster(t *testing.T) {
	c, dir, port := smbCluster(t, "g1", "g2")
	var v struct{ Owner string }
	c.ask("g1", &v, "volume", "create", "home", "--backend", "posix:"+dir, "--smb-users", "ann")

	at := c.addr[v.Owner].String() + ":" + port
	fs, err := mountSMB(t, at, "ann", "secret", "home")
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile("hello", []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "hello")); err != nil || !bytes.Equal(got, []byte("hello")) {
		t.Errorf("%q, %v", got, err)
	}
	other := "g1"
	if v.Owner == other {
		other = "g2"
	}
	far, err := mountSMB(t, c.addr[other].String()+":"+port, "ann", "secret", "home")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := far.ReadFile("hello"); err != nil || string(got) != "hello" {
		t.Errorf("through the other gateway: %q, %v", got, err)
	}
	if err := far.WriteFile("far", []byte("away"), 0o644); err != nil {
		t.Error(err)
	}
	if got, err := fs.ReadFile("far"); err != nil || string(got) != "away" {
		t.Errorf("what was written through the other gateway: %q, %v", got, err)
	}
	followReferrals(t, c.addr[other].String(), port)
	if _, err := mountSMB(t, c.addr[other].String()+":"+port, "ann", "wrong", "home"); err == nil {
		t.Error("a wrong password was good at the other gateway")
	}
	var changed struct {
		SMB struct {
			Encrypt bool
			Users   []string
		}
	}
	c.ask(other, &changed, "volume", "set", "home", "--smb-users", "bob", "--smb-encrypt", "required")
	if !changed.SMB.Encrypt || len(changed.SMB.Users) != 1 || changed.SMB.Users[0] != "bob" {
		t.Errorf("%+v", changed)
	}
	if _, err := mountSMB(t, at, "ann", "secret", "home"); err == nil {
		t.Error("a user who is not named any more mounted the share")
	}
	c.ask("g1", &changed, "volume", "set", "home", "--smb", "off")
	userCommand(t, c.at["g1"].state, "", "rm", "ann")
	if _, err := mountSMB(t, at, "ann", "secret", "home"); err == nil {
		t.Error("a user who was removed logged on")
	}
}
