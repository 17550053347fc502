package harness

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// tools are the programs without which no guest runs, and the Debian package of each.
var tools = []struct{ program, debian string }{
	{"linux.uml", "user-mode-linux"},
	{"mount.nfs", "nfs-common"},
	{"rpc.statd", "nfs-common"},
	{"rpcbind", "rpcbind"},
	{"busybox", "busybox-static"},
	{"ip", "iproute2"},
	{"modprobe", "kmod"},
	{"gcc", "gcc libc6-dev"},
}

// Require skips the test unless guests can run here, with a message that says all that is missing. With
// CAUSEWAY_E2E=required or long it fails instead: a run that was asked for must not pass by doing nothing.
func Require(t testing.TB) {
	t.Helper()
	var missing []string
	if os.Getuid() != 0 {
		missing = append(missing, "root (for network namespaces)")
	}
	if runtime.GOARCH != "amd64" {
		missing = append(missing, "an amd64 machine (User-mode Linux)")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing = append(missing, "/dev/net/tun")
	}
	for _, tool := range tools {
		if _, err := LookPath(tool.program); err != nil {
			missing = append(missing, tool.program+" (apt-get install "+tool.debian+")")
		}
	}
	unavailable(t, missing)
}

// RequireProgram skips the test unless program is installed; debian is the package that has it.
func RequireProgram(t testing.TB, program, debian string) {
	t.Helper()
	if _, err := LookPath(program); err != nil {
		unavailable(t, []string{program + " (apt-get install " + debian + ")"})
	}
}

func unavailable(t testing.TB, missing []string) {
	t.Helper()
	switch {
	case len(missing) == 0:
	case os.Getenv("CAUSEWAY_E2E") != "":
		t.Fatalf("end-to-end tests need %s", strings.Join(missing, ", "))
	default:
		t.Skipf("end-to-end tests need %s", strings.Join(missing, ", "))
	}
}

// LookPath is exec.LookPath that also looks where Debian keeps the programs of administrators.
func LookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(dir + program)
		}
	}
	return path, err
}

// Long reports whether the long versions of the tests are wanted (CAUSEWAY_E2E=long).
func Long() bool { return os.Getenv("CAUSEWAY_E2E") == "long" }
