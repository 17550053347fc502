package smb

import (
	"testing"

	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// attributesOf asks what the file system of an open file can do (FileFsAttributeInformation).
func (r *rig) attributesOf(t *testing.T, id wire.FileID) uint32 {
	t.Helper()
	b := make([]byte, 40)
	b[0], b[2], b[3] = 41, byte(wire.InfoFileSystem), byte(fscc.FSAttributeInformation)
	le.PutUint32(b[4:], 512)
	le.PutUint64(b[24:], id.Persistent)
	le.PutUint64(b[32:], id.Volatile)
	r.send(t, r.request(wire.QueryInfo, 0, b))
	m, h := r.final(t)
	if h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	return le.Uint32(m[wire.HeaderSize+8:])
}

// TestPowersOfTheFileSystem: Windows is told that access lists and attributes are kept where they are, and of no named streams.
func TestPowersOfTheFileSystem(t *testing.T) {
	const kept = fscc.FSPersistentACLs | fscc.FSExtendedAttrs
	for name, c := range map[string]struct {
		store backend.Store
		want  uint32
	}{
		"attributes": {mem.New(mem.Config{Mode: 0o777}), kept}, "none": {&linkless{Store: mem.New(mem.Config{Mode: 0o777})}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOn(t, c.store, false)
			defer r.close()
			if got := r.attributesOf(t, r.openFile(t)); got&kept != c.want || got&fscc.FSNamedStreams != 0 {
				t.Errorf("%#x", got)
			}
		})
	}
}

// TestRefusedPowers: to audit a file is a privilege that nobody has, and a stream of it is a name that nothing can have.
func TestRefusedPowers(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.openFile(t)
	audit := createBody("f", 0, 0)
	le.PutUint32(audit[24:], wire.AccessReadData|wire.AccessSystemSecurity)
	for name, c := range map[string]struct {
		body []byte
		want ntstatus.Status
	}{
		"audit": {audit, ntstatus.PrivilegeNotHeld}, "stream": {createBody("f:s", 0, 0), ntstatus.ObjectNameInvalid},
		"stream with a type": {createBody("f:s:$DATA", 0, 0), ntstatus.ObjectNameInvalid}, "default stream": {createBody("f::$DATA", 0, 0), ntstatus.OK},
	} {
		r.send(t, r.request(wire.Create, 0, c.body))
		if _, h := r.final(t); h.Status != c.want {
			t.Errorf("%s: %v instead of %v", name, h.Status, c.want)
		}
	}
}
