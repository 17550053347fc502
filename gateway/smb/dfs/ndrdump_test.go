package dfs

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
)

// TestNdrdump lets Samba's decoder of referrals read the answers, but for version 1, which it takes for another structure than
// [MS-DFSC] 2.2.5.1 has.
func TestNdrdump(t *testing.T) {
	program, err := exec.LookPath("ndrdump")
	if err != nil {
		t.Skip("no ndrdump here")
	}
	for level := 2; level <= 4; level++ {
		r := sample()
		r.Root = level%2 == 0
		b, err := r.Append(nil, level, 4096)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "-s", "/dev/null", "-l", t.TempDir(), "--base64-input",
			"--input="+base64.StdEncoding.EncodeToString(b), "dfsblobs", "dfs_referral_resp", "struct").CombinedOutput()
		text := string(out)
		if err != nil || !strings.Contains(text, "dump OK") {
			t.Errorf("version %d: %v\n%s", level, err, text)
			continue
		}
		for _, want := range []string{`\a\h`, `\b\h`, `0x0008 (8)`, `0x0002 (2)`, `\g\h`, "(300)"} {
			if !strings.Contains(text, want) {
				t.Errorf("version %d: no %q in\n%s", level, want, text)
			}
		}
	}
}
