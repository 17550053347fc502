package fscc

import (
	"bytes"
	"encoding/hex"
	"math"
	"net/netip"
	"testing"
	"time"

	"causeway"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

func wire(s string) []byte { return names.AppendString(nil, s) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTimes(t *testing.T) {
	// The FILETIME of 1970, and the one of 2016-12-14 that KB 167296's formula gives.
	if got := FileTimeOf(causeway.Time{Sec: 0, Nsec: 100}); got != 116444736000000001 {
		t.Error(got)
	}
	when := causeway.TimeOf(time.Date(2016, 12, 14, 12, 0, 0, 999, time.UTC))
	if got := FileTimeOf(when); got != 131261904000000009 {
		t.Error(got)
	}
	if got := FileTimeOf(when).Time(); got.Sec != when.Sec || got.Nsec != 900 {
		t.Error(got)
	}
	for _, c := range []struct {
		t    causeway.Time
		want FileTime
	}{
		{causeway.Time{}, 116444736000000000}, {causeway.Time{Sec: math.MinInt64}, 1}, {causeway.Time{Sec: math.MaxInt64}, math.MaxInt64},
		{causeway.Time{Sec: -epochDelta}, 1}, {causeway.Time{Sec: -epochDelta, Nsec: 200}, 2}, {causeway.Time{Sec: -1}, 116444735990000000},
	} {
		if got := FileTimeOf(c.t); got != c.want {
			t.Error(c.t, got)
		}
	}
	if FileTime(-3).Valid() || !TimeThaw.Valid() || !TimeFreeze.Special() || FileTime(1).Special() {
		t.Error("special values")
	}
}

func TestAttributes(t *testing.T) {
	file := causeway.Attr{Type: causeway.TypeRegular, Mode: 0o644}
	dir := causeway.Attr{Type: causeway.TypeDirectory, Mode: 0o555}
	set, err := DOS{}.Merge(AttrHidden|AttrNormal, false)
	if err != nil || set.Attributes != AttrHidden || !set.Recorded {
		t.Error(set, err)
	}
	none, _ := set.Merge(AttrNormal, false)
	for _, c := range []struct {
		a    causeway.Attr
		d    DOS
		name string
		want Attributes
	}{
		{file, DOS{}, "a", AttrArchive}, {file, DOS{}, ".a", AttrArchive | AttrHidden}, {file, none, ".a", AttrNormal}, {file, set, "a", AttrHidden},
		{causeway.Attr{Type: causeway.TypeRegular, Mode: 0o444}, DOS{}, "a", AttrArchive | AttrReadOnly},
		{dir, DOS{}, "..", AttrDirectory}, {dir, set, "d", AttrDirectory | AttrHidden},
		{causeway.Attr{Type: causeway.TypeSymlink, Mode: 0o777}, DOS{}, "l", AttrReparsePoint},
	} {
		if got := AttributesOf(&c.a, &c.d, c.name); got != c.want {
			t.Errorf("%+v %q: %x, want %x", c.d, c.name, got, c.want)
		}
	}
	for _, bad := range []struct {
		set Attributes
		dir bool
	}{{AttrDirectory, false}, {AttrTemporary, true}, {1 << 30, false}} {
		if _, err := (DOS{}).Merge(bad.set, bad.dir); err != ntstatus.InvalidParameter {
			t.Error(bad, err)
		}
	}
	if kept, err := set.Merge(0, false); err != nil || kept != set {
		t.Error(kept, err)
	}
	set.Creation = 12345
	back, err := DecodeDOS(append(set.Encode(), 1, 2, 3))
	if err != nil || back != set {
		t.Error(back, err)
	}
	if _, err := DecodeDOS(set.Encode()[:13]); err == nil {
		t.Error("a short record")
	}
}

func sample() *File {
	at := func(s int64) causeway.Time { return causeway.Time{Sec: s} }
	return &File{
		Object: Object{Creation: at(1), Access: at(2), Write: at(3), Change: at(4), EndOfFile: 5, Allocation: 4096, Attributes: AttrArchive,
			FileID: 0x1122334455667788, Links: 2},
		Granted: 0x120089, Position: 7, Mode: 0x20, Path: wire(`\dir\file`),
	}
}

func TestQueryFile(t *testing.T) {
	f := sample()
	times := "8016d7d5deb19d01" + "00ad6fd6deb19d01" + "804308d7deb19d01" + "00daa0d7deb19d01"
	standard := "0010000000000000" + "0500000000000000" + "02000000" + "00000000"
	path := hex.EncodeToString(f.Path)
	for class, want := range map[FileClass]string{
		FileBasicInformation:          times + "20000000" + "00000000",
		FileStandardInformation:       standard,
		FileInternalInformation:       "8877665544332211",
		FileEaInformation:             "00000000",
		FileAccessInformation:         "89001200",
		FilePositionInformation:       "0700000000000000",
		FileModeInformation:           "20000000",
		FileAlignmentInformation:      "00000000",
		FileNameInformation:           "12000000" + path,
		FileNormalizedNameInformation: "10000000" + path[4:],
		FileNetworkOpenInformation:    times + "0010000000000000" + "0500000000000000" + "20000000" + "00000000",
		FileAttributeTagInformation:   "20000000" + "00000000",
		FileCompressionInformation:    "0500000000000000" + "0000000000000000",
		FileStreamInformation:         "00000000" + "0e000000" + "0500000000000000" + "0010000000000000" + "3a003a0024004400410054004100",
		FileIDInformation:             "0000000000000000" + "00000000000000000000000000000000",
		FileAllInformation:            times + "20000000" + "00000000" + standard + "8877665544332211" + "00000000" + "89001200" + "0700000000000000" + "20000000" + "00000000" + "12000000" + path,
	} {
		got, err := AppendFile([]byte("xx"), class, f, 1000)
		if err != nil || !bytes.Equal(got[2:], unhex(t, want)) {
			t.Errorf("class %d: %x, %v\nwant %s", class, got[2:], err, want)
		}
		if fixed := fileSizes[class]; fixed > 0 {
			if got, err := AppendFile(nil, class, f, fixed-1); err != ntstatus.InfoLengthMismatch || len(got) != 0 {
				t.Errorf("class %d, a byte too small: %x, %v", class, got, err)
			}
			if got, err := AppendFile(nil, class, f, fixed); len(got) > fixed || err != nil && err != ntstatus.BufferOverflow {
				t.Errorf("class %d, fixed part only: %x, %v", class, got, err)
			}
		}
	}
	if got, err := AppendFile(nil, FileAllInformation, f, 107); err != ntstatus.BufferOverflow || len(got) != 106 || le.Uint32(got[96:]) != 18 {
		t.Error("a name is cut between characters, its length is the whole one's:", len(got), err)
	}
	for class, want := range map[FileClass]error{
		FileAlternateNameInformation: ntstatus.ObjectNameNotFound, FileFullEaInformation: ntstatus.NoEAsOnFile, FileRenameInformation: ntstatus.InvalidInfoClass,
		FileQuotaInformation: ntstatus.NotSupported, 0: ntstatus.InvalidInfoClass, FileBothDirectoryInformation: ntstatus.InvalidInfoClass,
	} {
		if got, err := AppendFile(nil, class, f, 1000); err != want || len(got) != 0 {
			t.Errorf("class %d: %v", class, err)
		}
	}
	f.DeletePending = true
	if got, _ := AppendFile(nil, FileStandardInformation, f, 24); got[16] != 1 || got[20] != 1 {
		t.Errorf("%x", got)
	}
}

func TestListing(t *testing.T) {
	for class, size := range entrySizes {
		l, err := NewListing(class, []byte("header"), 3*128+size)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"a", "b:", "ccc"} {
			if !l.Add(&Entry{Object: sample().Object, Name: name, Index: uint32(i)}) {
				t.Fatal(class, name)
			}
		}
		b := l.Bytes()[6:]
		for i, want := range []string{"a", "b\uf022", "ccc"} {
			length := 60
			if class == FileNamesInformation {
				length = 8
			}
			n := int(le.Uint32(b[length:]))
			if got := b[size : size+n]; !bytes.Equal(got, wire(want)) || le.Uint32(b[4:]) != uint32(i) {
				t.Errorf("class %d: %q", class, got)
			}
			next := le.Uint32(b)
			if (next == 0) != (i == 2) || next%8 != 0 || next == 0 && len(b) != size+n {
				t.Errorf("class %d: next %d, left %d", class, next, len(b))
			}
			b = b[next:]
		}
		if _, err := NewListing(class, nil, size-1); err != ntstatus.InfoLengthMismatch {
			t.Error(class, err)
		}
	}
	if _, err := NewListing(FileBasicInformation, nil, 1000); err != ntstatus.InvalidInfoClass {
		t.Error(err)
	}
	l, _ := NewListing(FileNamesInformation, nil, 29)
	if !l.Add(&Entry{Name: "ab"}) || l.Add(&Entry{Name: "c"}) || l.Len() != 1 || len(l.Bytes()) != 16 || le.Uint32(l.Bytes()) != 0 {
		t.Errorf("%x", l.Bytes())
	}
}

// An entry of each class with an id at the place where the documents have it ([MS-FSCC] 2.4.21, 2.4.22, 2.4.23).
func TestListingFields(t *testing.T) {
	for class, at := range map[FileClass]int{FileIDBothDirectoryInformation: 96, FileIDFullDirectoryInformation: 72, FileIDExtdDirectoryInformation: 72, FileIDExtdBothDirectoryInfo: 72} {
		l, _ := NewListing(class, nil, 200)
		e := Entry{Object: sample().Object, Name: "x"}
		e.Attributes, e.ReparseTag = AttrReparsePoint, TagSymlink
		l.Add(&e)
		b := l.Bytes()
		if le.Uint64(b[at:]) != e.FileID || le.Uint64(b[40:]) != 5 || le.Uint64(b[48:]) != 4096 || le.Uint32(b[56:]) != uint32(AttrReparsePoint) {
			t.Errorf("class %d: %x", class, b)
		}
		tag := 64
		if class == FileIDExtdDirectoryInformation || class == FileIDExtdBothDirectoryInfo {
			tag = 68
		}
		if le.Uint32(b[tag:]) != TagSymlink {
			t.Errorf("class %d: %x", class, b)
		}
	}
}

func TestFileSystem(t *testing.T) {
	f := &FileSystem{Label: "home", Type: "NTFS", Created: causeway.Time{Sec: 1}, Volume: 0x1_00000002, Attributes: FSCasePreserved | FSUnicode,
		Stat: causeway.FSStat{TotalBytes: 40960, FreeBytes: 20480, AvailBytes: 8192, BlockSize: 4096}}
	for class, want := range map[FSClass]string{
		FSVolumeInformation:    "8016d7d5deb19d01" + "03000000" + "08000000" + "0000" + "68006f006d006500",
		FSSizeInformation:      "0a00000000000000" + "0200000000000000" + "08000000" + "00020000",
		FSFullSizeInformation:  "0a00000000000000" + "0200000000000000" + "0500000000000000" + "08000000" + "00020000",
		FSDeviceInformation:    "07000000" + "20000000",
		FSAttributeInformation: "06000000" + "ff000000" + "08000000" + "4e00540046005300",
	} {
		got, err := AppendFS(nil, class, f, 100)
		if err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("class %d: %x, %v", class, got, err)
		}
	}
	for class, size := range fsSizes {
		if got, err := AppendFS(nil, class, f, size); len(got) > size || err != nil && err != ntstatus.BufferOverflow {
			t.Error(class, len(got), err)
		}
		if _, err := AppendFS(nil, class, f, size-1); err != ntstatus.InfoLengthMismatch {
			t.Error(class, err)
		}
		if got, err := AppendFS(nil, class, f, 1000); err != nil || len(got) < size-6 {
			t.Error(class, len(got), err)
		}
	}
}

func TestSetFile(t *testing.T) {
	rename := append(append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 8)...), 4, 0, 0, 0, 'a', 0, 'b', 0)
	r, err := DecodeRename(rename, false)
	if err != nil || !r.Replace || r.POSIX || !bytes.Equal(r.Path, wire("ab")) {
		t.Error(r, err)
	}
	rename[0] = 0x43
	if r, err = DecodeRename(rename, true); err != nil || !r.Replace || !r.POSIX || !r.IgnoreReadOnly {
		t.Error(r, err)
	}
	rename[8] = 1
	if _, err = DecodeRename(rename, false); err != ntstatus.InvalidParameter {
		t.Error("a root directory:", err)
	}
	rename[8], rename[16] = 0, 6
	if _, err = DecodeRename(rename, false); err != ntstatus.InfoLengthMismatch {
		t.Error("a name beyond the end:", err)
	}
	if n, err := DecodeSize([]byte{1, 2, 0, 0, 0, 0, 0, 0}); n != 513 || err != nil {
		t.Error(n, err)
	}
	if _, err := DecodeSize([]byte{0, 0, 0, 0, 0, 0, 0, 0x80}); err != ntstatus.InvalidParameter {
		t.Error(err)
	}
	if d, err := DecodeDisposition([]byte{0x13, 0, 0, 0}, true); err != nil || !d.Delete || !d.POSIX || !d.IgnoreReadOnly || d.OnClose {
		t.Error(d, err)
	}
	if _, err := DecodeDisposition([]byte{0x20, 0, 0, 0}, true); err != ntstatus.InvalidParameter {
		t.Error(err)
	}
	if _, err := DecodeMode([]byte{0x30, 0, 0, 0}); err != ntstatus.InvalidParameter {
		t.Error(err)
	}
	eas, err := DecodeEAs(append([]byte{12, 0, 0, 0, 0, 1, 2, 0, 'x', 0, 7, 8}, 0, 0, 0, 0, 0x80, 1, 0, 0, 'y', 0))
	if err != nil || len(eas) != 2 || string(eas[0].Name) != "x" || !bytes.Equal(eas[0].Value, []byte{7, 8}) || !eas[1].Need {
		t.Error(eas, err)
	}
	if _, err := DecodeEAs([]byte{8, 0, 0, 0, 0, 1, 0, 0, 'x', 0}); err != ntstatus.EACorruptError {
		t.Error("a chain into itself:", err)
	}
}

func TestReparse(t *testing.T) {
	// [MS-FSCC] 2.1.2.4: tag, length, reserved, two names by offset and length, flags.
	want := "0c0000a0" + "1800" + "0000" + "0000" + "0600" + "0600" + "0600" + "01000000" + "61005c006200" + "61005c006200"
	got, err := AppendSymlink(nil, "a/b", 100)
	if err != nil || !bytes.Equal(got, unhex(t, want)) {
		t.Errorf("%x, %v", got, err)
	}
	for _, target := range []string{"a", "../x/y:z", "/abs/path", "a.", "\xff", "/"} {
		b, err := AppendSymlink(nil, target, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := DecodeReparse(b); err != nil || r.Type != causeway.TypeSymlink || r.Target != target {
			t.Errorf("%q: %q, %v", target, r.Target, err)
		}
	}
	if _, err := AppendSymlink(nil, "a/b", 31); err != ntstatus.BufferTooSmall {
		t.Error(err)
	}
	for _, bad := range []string{`\??\C:\x`, `\\server\share`, `C:\x`} {
		b := append(appendSymlinkNames(nil, len(wire(bad))), 0, 0, 0, 0)
		b = append(append(b, wire(bad)...), wire(bad)...)
		b = append([]byte{0xc, 0, 0, 0xa0, byte(len(b)), 0, 0, 0}, b...)
		if _, err := DecodeReparse(b); err != ntstatus.ObjectNameInvalid {
			t.Error(bad, err)
		}
	}
	// [MS-FSCC] 2.1.2.6.
	for _, c := range []struct {
		a causeway.Attr
		b string
	}{
		{causeway.Attr{Type: causeway.TypeFIFO}, "14000080" + "0800" + "0000" + "4649464f00000000"},
		{causeway.Attr{Type: causeway.TypeSocket}, "14000080" + "0800" + "0000" + "534f434b00000000"},
		{causeway.Attr{Type: causeway.TypeChar, Major: 1, Minor: 3}, "14000080" + "1000" + "0000" + "4348520000000000" + "0100000003000000"},
	} {
		if r, err := DecodeReparse(unhex(t, c.b)); err != nil || r.Type != c.a.Type || r.Major != c.a.Major || r.Minor != c.a.Minor {
			t.Error(r, err)
		}
	}
	e, err := AppendSymlinkError(nil, "t", 6)
	if err != nil || !bytes.Equal(e, unhex(t, "1c000000"+"53594d4c"+"0c0000a0"+"1000"+"0600"+"0000"+"0200"+"0200"+"0200"+"01000000"+"7400"+"7400")) {
		t.Errorf("%x, %v", e, err)
	}
}

func TestIoctls(t *testing.T) {
	b := make([]byte, 32+24)
	b[24], b[32+16] = 1, 9
	c, limits, err := DecodeCopyChunk(b)
	if err != nil || limits || len(c.Chunks) != 1 || c.Chunks[0].Length != 9 {
		t.Error(c, limits, err)
	}
	b[24] = 2
	if _, limits, err = DecodeCopyChunk(b); limits || err == nil {
		t.Error("chunks beyond the end")
	}
	b[25] = 1
	if _, limits, _ = DecodeCopyChunk(b); !limits {
		t.Error("too many chunks")
	}
	b[24], b[25], b[32+16] = 1, 0, 0
	if _, limits, _ = DecodeCopyChunk(b); !limits {
		t.Error("an empty chunk")
	}
	ranges := []causeway.Span{{Offset: 0, Length: 1}, {Offset: 5, Length: 2}}
	if got, err := AppendAllocatedRanges(nil, ranges, 31); err != ntstatus.BufferOverflow || len(got) != 16 {
		t.Error(got, err)
	}
	if _, err := AppendAllocatedRanges(nil, ranges, 15); err != ntstatus.BufferTooSmall {
		t.Error(err)
	}
	if got, err := AppendAllocatedRanges(nil, nil, 0); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	got, err := AppendInterfaces(nil, []Interface{{Index: 3, Addr: netip.MustParseAddr("127.0.0.9"), RSS: true}, {Addr: netip.MustParseAddr("::1"), Speed: 7}}, 304)
	if err != nil || len(got) != 304 || !bytes.Equal(got[:32], unhex(t, "98000000"+"03000000"+"01000000"+"00000000"+"00ca9a3b00000000"+"02000000"+"7f000009")) {
		t.Errorf("%x, %v", got, err)
	}
	if got[152+24] != 0x17 || got[152+24+8+15] != 1 || le.Uint32(got[152:]) != 0 {
		t.Errorf("%x", got[152:])
	}
	if s, err := DecodeZeroData([]byte{1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0}); err != nil || s != (causeway.Span{Offset: 1, Length: 4}) {
		t.Error(s, err)
	}
	if !DecodeSetSparse(nil) || DecodeSetSparse([]byte{0}) {
		t.Error("set sparse")
	}
}

func TestNotices(t *testing.T) {
	list := []Notice{{4, []string{"a"}}, {5, []string{"d", "b:"}}} // the two names of a rename
	want := "10000000" + "04000000" + "02000000" + "6100" + "0000" + "00000000" + "05000000" + "08000000" + "64005c00620022f0"
	got, err := AppendNotices(nil, list, 36)
	if err != nil || !bytes.Equal(got, unhex(t, want)) {
		t.Errorf("%x, %v", got, err)
	}
	if got, err := AppendNotices([]byte("x"), list, 35); err != ntstatus.NotifyEnumDir || len(got) != 1 {
		t.Error(got, err)
	}
}
