//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

// startWith starts a gateway whose volume only the given rules open. The peer has no such flags.
func startWith(t *testing.T, rules ...string) *stage {
	t.Helper()
	if harness.Peer() {
		t.Skip("the rules are those of causeway")
	}
	t.Parallel()
	s := &stage{network: harness.NewNetwork(t), dir: t.TempDir()}
	s.host = s.network.Host()
	s.server = harness.StartGateway(t, s.host, harness.GatewayConfig{Volumes: map[string]string{volume: s.dir}, Allow: rules})
	return s
}

func TestReadOnlyExport(t *testing.T) {
	s := startWith(t, "10.99.0.0/24=ro,no_root_squash")
	if err := os.WriteFile(filepath.Join(s.dir, "file"), []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	guest, dir := s.mounted("alpha", "")
	guest.Sh(dir, `[ "$(cat file)" = content ]`)
	for _, script := range []string{"echo x >new", "rm file", "mkdir d", "chmod 600 file", "mv file other", "ln file link", "ln -s a b", "mkfifo p"} {
		refused(t, guest, dir, script, "Read-only file system")
	}
	// Before it opens for writing the client asks for rights, and ACCESS can only say no.
	for _, script := range []string{"echo x >>file", "truncate -s 0 file"} {
		refused(t, guest, dir, script, "Permission denied")
	}
	guest.Sh(dir, `[ "$(cat file)" = content ] && [ "$(ls -A)" = file ]`)
}

// refused checks that a script fails with a message.
func refused(t *testing.T, guest *harness.Guest, dir, script, message string) {
	t.Helper()
	result, err := guest.Run(t.Context(), shell(dir, script))
	if err != nil || result.Status == 0 || !strings.Contains(result.Stderr, message) {
		t.Errorf("%s should fail with %q: %+v, %v", script, message, result, err)
	}
}

func shell(dir, script string) wire.Command {
	return wire.Command{Argv: []string{"/bin/sh", "-c", script}, Dir: dir}
}

func TestRootIsSquashed(t *testing.T) {
	s := startWith(t, "10.99.0.0/24=rw,root_squash,anonuid=1234,anongid=2345")
	if err := os.Chmod(s.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "root's"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	guest, dir := s.mounted("alpha", "")
	guest.Sh(dir, "touch squashed")
	if got := guest.MustRun(dir, "stat", "-c", "%u:%g", "squashed"); got != "1234:2345\n" {
		t.Errorf("root's file belongs to %q", got)
	}
	refused(t, guest, dir, "cat \"root's\"", "Permission denied")
	user := shell(dir, "touch user")
	user.UID, user.GID, user.Groups = 777, 778, []uint32{}
	if result, err := guest.Run(t.Context(), user); err != nil || result.Status != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	if got := guest.MustRun(dir, "stat", "-c", "%u:%g", "user"); got != "777:778\n" {
		t.Errorf("a user's file belongs to %q", got)
	}
}

func TestOnlyAllowedClientsMount(t *testing.T) {
	s := startWith(t, "10.99.0.200/32=rw")
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	if _, result, err := guest.TryMount(s.server.Mount(volume)); err != nil || result.Status == 0 || !strings.Contains(result.Stderr, "access denied") {
		t.Errorf("%+v, %v", result, err)
	}
}
