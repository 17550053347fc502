package security

import (
	"encoding/base64"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// TestNdrdump lets Samba's decoder read descriptors of random objects: all entries, and no byte left over.
func TestNdrdump(t *testing.T) {
	program, err := exec.LookPath("ndrdump")
	if err != nil {
		t.Skip("no ndrdump here")
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 10 {
		d := DescriptorOf(randomAttr(r), nil)
		out, err := exec.Command(program, "-s", "/dev/null", "-l", t.TempDir(), "--base64-input",
			"--input="+base64.StdEncoding.EncodeToString(d.AppendBinary(nil)), "security", "security_descriptor", "struct").CombinedOutput()
		text := string(out)
		if err != nil || !strings.Contains(text, "dump OK") || strings.Contains(text, "WARNING") || strings.Count(text, "aces: struct") != len(d.DACL.Entries) {
			t.Fatalf("%v\n%s\n%s", err, d, text)
		}
		for _, e := range d.DACL.Entries {
			if !strings.Contains(text, ": "+e.SID.String()+"\n") {
				t.Errorf("no %s in\n%s", e.SID, text)
			}
		}
	}
}
