package smb

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"causeway"
	"causeway/backend/posix"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
)

// spanBody is two numbers of 64 bits: the input of FSCTL_SET_ZERO_DATA and of FSCTL_QUERY_ALLOCATED_RANGES.
func spanBody(a, b uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, a), b)
}

// TestHolesOfStorage: zeroing a range of a sparse file gives its storage back, and which parts take some is what the storage says; a file that
// is not sparse keeps all of its storage.
func TestHolesOfStorage(t *testing.T) {
	const part = 1 << 20
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	store, err := posix.Open(t.Context(), dir, posix.Config{})
	if err != nil {
		t.Skip("no volume here:", err)
	}
	r := newRigOn(t, store, false)
	defer r.close()
	id := r.openFile(t)
	if _, status := r.control(t, fscc.FSCTLSetSparse, id, nil, 0); status != ntstatus.OK {
		t.Skip("this file system keeps no marks of sparse files:", status)
	}
	tr, root := r.srv.cfg.Transfer, r.ses.trees[1].root.Handle
	me := gateway.Caller{Cred: causeway.Cred{UID: 1000, GID: 1000}}
	found, _, err := r.srv.cfg.Access.Lookup(t.Context(), &me, root, "f")
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("x"), 4*part)
	for off := 0; off < len(want); off += part {
		if _, err := tr.Write(t.Context(), &me, found.Handle, uint64(off), want[off:off+part], causeway.FileSync); err != nil {
			t.Fatal(err)
		}
	}
	blocks := func() int64 {
		var st syscall.Stat_t
		if err := syscall.Stat(filepath.Join(dir, "f"), &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	full := blocks()
	if _, status := r.control(t, fscc.FSCTLSetZeroData, id, spanBody(part, 3*part+100), 0); status != ntstatus.OK {
		t.Fatal(status)
	}
	clear(want[part : 3*part+100])
	if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(got, want) {
		t.Error("other bytes", err)
	}
	if now := blocks(); full-now < 2*part {
		t.Errorf("%d bytes of %d are taken still", now, full)
	}
	out, status := r.control(t, fscc.FSCTLAllocatedRanges, id, spanBody(0, 1<<40), 4096)
	if status != ntstatus.OK || !bytes.Equal(out, append(spanBody(0, part), spanBody(3*part, part)...)) {
		t.Errorf("%v\n%x", status, out)
	}
	if out, status := r.control(t, fscc.FSCTLAllocatedRanges, id, spanBody(part, 2*part), 4096); status != ntstatus.OK || len(out) != 0 {
		t.Errorf("in the hole: %v\n%x", status, out)
	}
	if _, status := r.control(t, fscc.FSCTLAllocatedRanges, id, spanBody(0, 1<<40), 16); status != ntstatus.BufferOverflow {
		t.Error("no room for all:", status)
	}
	if _, status := r.control(t, fscc.FSCTLSetSparse, id, []byte{0}, 0); status != ntstatus.OK {
		t.Fatal(status)
	}
	before := blocks()
	if _, status := r.control(t, fscc.FSCTLSetZeroData, id, spanBody(0, part), 0); status != ntstatus.OK {
		t.Fatal(status)
	}
	if now := blocks(); now < before {
		t.Error("a file that is not sparse has lost storage")
	}
	out, status = r.control(t, fscc.FSCTLAllocatedRanges, id, spanBody(0, 1<<40), 4096)
	if status != ntstatus.OK || !bytes.Equal(out, spanBody(0, 4*part)) {
		t.Errorf("not sparse: %v\n%x", status, out)
	}
	if err := os.Truncate(filepath.Join(dir, "f"), 1<<42); err != nil {
		t.Skip("no file of 4 TiB here:", err)
	}
	r.client.SetReadDeadline(time.Now().Add(time.Minute)) // a second, unless all of it is read
	if _, status := r.control(t, uint32(fscc.FSCTLSetZeroData), id, spanBody(0, 1<<42), 0); status != ntstatus.OK {
		t.Fatal("a file with a large hole:", status)
	}
	got := make([]byte, 4*part)
	if f, err := os.Open(filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	} else {
		defer f.Close()
		if _, err := io.ReadFull(f, got); err != nil || bytes.Count(got, []byte{0}) != len(got) {
			t.Error("something is left", err)
		}
	}
}
