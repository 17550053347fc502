package fscc

import (
	"encoding/base64"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// TestNdrdump lets Samba's decoders read what they know of these structures.
func TestNdrdump(t *testing.T) {
	program, err := exec.LookPath("ndrdump")
	if err != nil {
		t.Skip("no ndrdump here")
	}
	interfaces, _ := AppendInterfaces(nil, []Interface{{Index: 3, Addr: netip.MustParseAddr("127.0.0.9"), RSS: true}, {Index: 4, Addr: netip.MustParseAddr("fe80::1")}}, 1000)
	for _, c := range []struct {
		pipe, structure string
		data            []byte
		want            []string
	}{
		{"netinterface", "fsctl_net_iface_info", interfaces, []string{"127.0.0.9", "0x000000003b9aca00", "RSS_CAPABLE", "fe80"}},
		{"copychunk", "srv_copychunk_rsp", AppendCopied(nil, 3, 0, 4096), []string{"(4096)", "(3)"}},
	} {
		out, err := exec.Command(program, "-s", "/dev/null", "-l", t.TempDir(), "--validate", "--base64-input",
			"--input="+base64.StdEncoding.EncodeToString(c.data), c.pipe, c.structure, "struct").CombinedOutput()
		text := string(out)
		if err != nil || !strings.Contains(text, "dump OK") || strings.Contains(text, "WARNING") {
			t.Errorf("%s: %v\n%s", c.structure, err, text)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.structure, want, text)
			}
		}
	}
}
