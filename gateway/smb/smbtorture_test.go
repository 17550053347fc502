package smb_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"causeway/backend/mem"
	"causeway/gateway/smb"
)

// torture names the suites of Samba's smbtorture 4.17 that pass, and in them the tests that do not, with the reason.
var torture = map[string]map[string]string{
	"smb2.connect":               nil,
	"smb2.credits":               nil,
	"smb2.tcon":                  nil,
	"smb2.mkdir":                 nil,
	"smb2.read":                  nil,
	"smb2.rw":                    {"invalid": "wants files to end at 16 TiB"},
	"smb2.rename":                nil,
	"smb2.deny":                  nil,
	"smb2.sharemode":             nil,
	"smb2.delete-on-close-perms": nil,
	"smb2.compound_async":        nil,
	"smb2.sdread":                nil,
	"smb2.secleak":               nil,
	"smb2.dir":                   {"one": "short names in listings"},
	"smb2.getinfo":               {"complex": "named streams", "normalized": "named streams"},
	"smb2.compound": {
		"related9": "an unsigned element between signed ones", "invalid2": "which of two errors comes first",
		"compound-padding": "named streams",
	},
}

// TestSmbtorture runs those suites, if smbtorture is installed. It signs only where it wants to: some tests cannot.
func TestSmbtorture(t *testing.T) {
	program, err := exec.LookPath("smbtorture")
	if err != nil {
		t.Skip("smbtorture is not installed")
	}
	for suite, known := range torture {
		t.Run(suite, func(t *testing.T) {
			s := serve(t, mem.New(mem.Config{Mode: 0o777}), listen(t), func(c *smb.Config) { c.AllowUnsigned = true })
			_, port, _ := strings.Cut(s.addr, ":")
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			out, _ := exec.CommandContext(ctx, program, "//127.0.0.1/vol", "-U", "u%p", "-p", port, suite).CombinedOutput()
			passed := 0
			for line := range strings.Lines(string(out)) {
				verdict, rest, _ := strings.Cut(line, ": ")
				name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
				switch {
				case verdict == "success":
					passed++
				case (verdict == "failure" || verdict == "error") && known[name] == "":
					t.Errorf("%s failed", name)
				}
			}
			if passed == 0 || t.Failed() {
				t.Errorf("%d passed\n%s", passed, out)
			}
		})
	}
}
