package rpcpipe

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"causeway/gateway/smb/security"
)

// sidStub is what LsarLookupSids is called with.
func sidStub(sids ...security.SID) []byte {
	w := &writer{b: append([]byte(nil), policyHandle[:]...)}
	w.u32(uint32(len(sids)))
	w.pointer(func() {
		w.u32(uint32(len(sids)))
		for _, s := range sids {
			w.pointer(func() {
				w.u32(uint32(s.Count))
				w.b = s.AppendBinary(w.b)
			})
		}
	})
	w.flush()
	w.u32(0, 0, 1, 0)
	return w.b
}

// TestNdrdump lets Samba's decoder of these interfaces read the answers: every byte must have its meaning.
func TestNdrdump(t *testing.T) {
	program, err := exec.LookPath("ndrdump")
	if err != nil {
		t.Skip("no ndrdump here")
	}
	home := "00000000" + wide("home")
	for _, c := range []struct {
		pipe, function string
		op             uint16
		stub           []byte
		want           []string
	}{
		{"srvsvc", "srvsvc_NetShareEnumAll", 15, enumStub(0), []string{"'home'", "'IPC$'", "totalentries", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareEnumAll", 15, enumStub(1), []string{"'home'", "'files'", "STYPE_IPC_HIDDEN", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareEnumAll", 15, enumStub(2), []string{`'C:\home'`, "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareEnum", 36, enumStub(1), []string{"'home'", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareGetInfo", 16, unhex(home + "01000000"), []string{"'files'", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareGetInfo", 16, unhex(home + "f5010000"), []string{"csc_policy", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareGetInfo", 16, unhex(home + "f6010000"), []string{`'C:\home'`, "WERR_OK"}},
		{"srvsvc", "srvsvc_NetShareGetInfo", 16, unhex(home + "ed030000"), []string{"dfs_flags", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetSrvGetInfo", 21, unhex("00000000 64000000"), []string{"'GATE'", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetSrvGetInfo", 21, unhex("00000000 65000000"), []string{"'a gateway'", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetSrvGetInfo", 21, unhex("00000000 66000000"), []string{"userpath", "WERR_OK"}},
		{"srvsvc", "srvsvc_NetConnEnum", 8, unhex("00000000 00000000 01000000 01000000 00000000 ffffffff 00000000"), []string{"WERR_ACCESS_DENIED"}},
		{"srvsvc", "srvsvc_NetFileEnum", 9, unhex("00000000 00000000 00000000 03000000 03000000 00000000 ffffffff 00000000"), []string{"WERR_ACCESS_DENIED"}},
		{"srvsvc", "srvsvc_NetSessEnum", 12, unhex("00000000 00000000 00000000 0a000000 0a000000 00000000 ffffffff 04000200 00000000"), []string{"resume_handle", "WERR_ACCESS_DENIED"}},
		{"srvsvc", "srvsvc_NetNameValidate", 33, unhex(home + "09000000 00000000"), []string{"WERR_OK"}},
		{"srvsvc", "srvsvc_NetRemoteTOD", 28, unhex("00000000"), []string{"0x000007e8", "WERR_OK"}},
		{"wkssvc", "wkssvc_NetWkstaGetInfo", 0, unhex("00000000 64000000"), []string{"'WORKGROUP'", "WERR_OK"}},
		{"wkssvc", "wkssvc_NetWkstaGetInfo", 0, unhex("00000000 65000000"), []string{"lan_root", "WERR_OK"}},
		{"wkssvc", "wkssvc_NetWkstaGetInfo", 0, unhex("00000000 66000000"), []string{"logged_on_users", "WERR_OK"}},
		{"lsarpc", "lsa_OpenPolicy", 6, make([]byte, 32), []string{"NT_STATUS_OK"}},
		{"lsarpc", "lsa_LookupSids", 15, sidStub(security.UserSID(1000), security.Everyone, security.GroupSID(7)), []string{"'alice'", "'Unix User'", "'Everyone'", "'S-1-22-2-7'", "SOME_UNMAPPED", "S-1-22-1"}},
		{"lsarpc", "lsa_LookupSids2", 57, append(sidStub(security.UserSID(1000)), make([]byte, 8)...), []string{"'alice'", "NT_STATUS_OK"}},
		{"lsarpc", "lsa_Close", 0, policyHandle[:], []string{"NT_STATUS_OK"}},
	} {
		p, err := Open(c.pipe, testServer())
		if err != nil {
			t.Fatal(err)
		}
		p.contexts[0] = true
		got, err := p.Transact(request(c.op, 3, c.stub), 1<<16)
		if err != nil || got[2] != pduResponse {
			t.Fatalf("%s: %x, %v", c.function, got, err)
		}
		context := filepath.Join(t.TempDir(), "request")
		if err := os.WriteFile(context, c.stub, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "-s", "/dev/null", "-l", t.TempDir(), "--validate", "-c", context, "--base64-input",
			"--input="+base64.StdEncoding.EncodeToString(got[24:]), c.pipe, c.function, "out").CombinedOutput()
		text := string(out)
		if err != nil || !strings.Contains(text, "dump OK") || strings.Contains(text, "unread") || strings.Contains(text, "WARNING") {
			t.Errorf("%s: %v\n%s", c.function, err, text)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.function, want, text)
			}
		}
	}
}
