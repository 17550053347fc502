package smb

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"causeway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// ofMac opens the root of the share with what macOS asks for there, and returns the answer's context, nil if there is none.
func (r *rig) ofMac(t *testing.T, query string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(query, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	b := createBody("", 0, 0)
	le.PutUint32(b[24:], wire.AccessReadAttributes)
	le.PutUint32(b[36:], 1)
	list := contexts.Append(nil, []contexts.Context{{Name: contexts.Apple, Data: data}})
	le.PutUint32(b[48:], uint32(wire.HeaderSize+len(b)))
	le.PutUint32(b[52:], uint32(len(list)))
	r.send(t, r.request(wire.Create, 0, append(b, list...)))
	m, h := r.final(t)
	if h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	at := le.Uint32(m[wire.HeaderSize+80:])
	got, err := contexts.Parse(m[at : at+le.Uint32(m[wire.HeaderSize+84:])])
	if err != nil {
		t.Fatal(err)
	}
	if c := contexts.Find(got, contexts.Apple); c != nil {
		return c.Data
	}
	return nil
}

// TestAnswerToMac: of the server's capabilities 1 (listings with attributes of macOS), 2 (copyfile) and 8 (modes in access lists) are absent, and
// of the volume's 1 (names of ids); 4 of both are there: a Unix, and flushes that reach the storage. A listing stays what it is in [MS-FSCC] then.
func TestAnswerToMac(t *testing.T) {
	const model = "00000000 10000000 4300 6100 7500 7300 6500 7700 6100 7900" // padding, length, "Causeway"
	for _, c := range []struct {
		name, query, want string
		sensitive         bool
	}{
		{"all", "01000000 00000000 0700000000000000 0f00000000000000", "01000000 00000000 0700000000000000 0400000000000000 0400000000000000" + model, false},
		{"case-sensitive", "01000000 00000000 0700000000000000 0f00000000000000", "01000000 00000000 0700000000000000 0400000000000000 0600000000000000" + model, true},
		{"volume alone", "01000000 00000000 0200000000000000 0000000000000000", "01000000 00000000 0200000000000000 0400000000000000", false},
		{"a file by its id", "02000000 00000000 1234567812345678", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, false, func(v *causeway.Volume) { v.SMB.CaseSensitive = c.sensitive })
			defer r.close()
			r.srv.cfg.Folding = names.Insensitive
			want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.ofMac(t, c.query); !bytes.Equal(got, want) {
				t.Errorf("%x\nwant\n%x", got, want)
			}
		})
	}
}
