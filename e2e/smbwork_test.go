//go:build linux

package e2e

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"causeway/e2e/harness"
)

// protections are the ways in which the kernel's client can send what it sends. Plain needs a server that does not insist on signatures.
var protections = map[string]string{"plain": "vers=3.1.1", "signed": "vers=3.1.1,sign", "sealed": "vers=3.1.1,seal"}

// TestCIFSPrograms runs programs that check their own data over the kernel's client, unprotected, signed and sealed.
func TestCIFSPrograms(t *testing.T) {
	harness.RequireProgram(t, "dbench", "dbench")
	harness.RequireProgram(t, "fio", "fio")
	s := setShare(t, "--smb-signing", "offered")
	for name, options := range protections {
		dir := s.mount(name, options)
		out := s.guest.MustRun(dir, "dbench", "-t", scale(3, 60), "-c", "/usr/share/dbench/client.txt", "2")
		if !strings.Contains(out, "Throughput") {
			t.Errorf("%s: dbench: %s", name, out)
		}
		s.guest.MustRun(dir, "fio", "--name="+name, "--rw=randrw", "--size="+scale(4, 128)+"m", "--bsrange=512-128k", "--numjobs=2",
			"--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--thread", "--ioengine=psync", "--fsync=64")
		posix(t, s.guest, dir, "fsx", "-ops", scale(150, 5000))
		s.guest.Sh("/", "rm -rf "+dir+"/*; umount "+dir)
	}
}

// TestSmbclient moves files with Samba's client, lists them by wildcards, renames and removes them.
func TestSmbclient(t *testing.T) {
	harness.RequireProgram(t, "smbclient", "smbclient")
	s := setShareAlone(t, "--smb-signing", "offered")
	client, here := s.network.Host(), t.TempDir()
	content := make([]byte, 3<<20+17)
	rand.Read(content)
	for _, name := range []string{"one.txt", "two.txt", "three.dat"} {
		if err := os.WriteFile(filepath.Join(here, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	back := filepath.Join(here, "back")
	if err := os.Mkdir(back, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, protection := range []string{"off", "sign", "encrypt"} {
		run := func(commands string) string {
			return client.MustRun("smbclient", "//"+s.host.Address.String()+"/"+volume, "-U", "ann%secret", "-m", "SMB3_11",
				"--client-protection="+protection, "-c", commands)
		}
		run("lcd " + here + "; prompt off; mkdir d; cd d; mput *.txt *.dat; rename three.dat four.dat")
		if out := run("cd d; ls *.txt"); !strings.Contains(out, "one.txt") || !strings.Contains(out, "two.txt") || strings.Contains(out, "four.dat") {
			t.Errorf("%s: ls *.txt: %s", protection, out)
		}
		if out := run(`cd d; ls ????.dat`); !strings.Contains(out, "four.dat") {
			t.Errorf("%s: ls ????.dat: %s", protection, out)
		}
		run("lcd " + back + "; prompt off; cd d; mget *.txt; get four.dat")
		for _, name := range []string{"one.txt", "two.txt", "four.dat"} {
			if got, err := os.ReadFile(filepath.Join(back, name)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %s: %d bytes of %d, %v", protection, name, len(got), len(content), err)
			}
			os.Remove(filepath.Join(back, name))
		}
		run("prompt off; deltree d")
		if left, err := os.ReadDir(s.dir); err != nil || len(left) > 1 {
			t.Errorf("%s: left behind: %v, %v", protection, left, err)
		}
	}
}

// TestUpstream serves the share of one server at another one, where a client mounts it over NFS.
func TestUpstream(t *testing.T) {
	s := setShareAlone(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	front := &stage{network: s.network, host: s.network.Host()}
	front.server = harness.StartServer(t, front.host, harness.GatewayConfig{
		Volumes: map[string]string{volume: "smb://ann@" + s.host.Address.String() + "/" + volume},
		Flags:   append(quickly(), "--password-file", password),
	})
	guest, dir := front.mounted("alpha", "")
	guest.Sh(dir, `mkdir -p tree/sub; echo hello >tree/file; mv tree/file tree/sub/moved; [ "$(cat tree/sub/moved)" = hello ]`)
	guest.Sh(dir, `dd if=/dev/urandom of=big bs=64k count=64 2>/dev/null; sync; cp big copy; cmp big copy; rm big`)
	if got, err := os.ReadFile(filepath.Join(s.dir, "tree/sub/moved")); err != nil || string(got) != "hello\n" {
		t.Errorf("at the server: %q, %v", got, err)
	}
	posix(t, guest, dir, "fsx", "-ops", scale(100, 3000))
	if result, err := guest.Run(t.Context(), shell(dir, "ln copy link")); err != nil || result.Status == 0 {
		t.Errorf("a hard link was made: %+v, %v", result, err)
	}
	s.server.Kill()
	s.server.Start() // the store connects anew
	guest.Sh(dir, `[ "$(cat tree/sub/moved)" = hello ]; echo again >tree/after; [ "$(cat tree/after)" = again ]`)
}

// setShareAlone starts a server with SMB and a user "ann" whose ids are root's, without a guest.
func setShareAlone(t *testing.T, flags ...string) *share {
	t.Helper()
	if harness.Peer() {
		t.Skip("the flags are those of causeway")
	}
	harness.Require(t)
	t.Parallel()
	s := &share{stage: &stage{network: harness.NewNetwork(t), dir: t.TempDir()}}
	s.host = s.network.Host()
	state := t.TempDir()
	add := exec.Command(harness.Build(t, "cmd/causeway"), "user", "add", "ann", "--uid", "0", "--gid", "0", "--state-dir", state)
	add.Stdin = strings.NewReader("secret\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	s.server = harness.StartServer(t, s.host, harness.GatewayConfig{
		Volumes: map[string]string{volume: s.dir}, State: state,
		Flags: append(append(quickly(), "--smb", s.host.Address.String()+":445"), flags...),
	})
	return s
}
