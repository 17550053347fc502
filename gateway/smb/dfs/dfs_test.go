package dfs

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"causeway/gateway/smb/ntstatus"
)

func wide(s string) []byte { return appendText(nil, s) }

func TestParse(t *testing.T) {
	r, err := Parse(append([]byte{4, 0}, wide(`\gate\home\x`)...))
	if err != nil || r.MaxLevel != 4 || r.Path != `\gate\home\x` {
		t.Error(r, err)
	}
	if r, err := Parse([]byte{3, 0, 0, 0}); err != nil || r.Path != "" {
		t.Error(r, err)
	}
	for name, b := range map[string][]byte{
		"short": {4, 0}, "no end": {4, 0, 'a', 0, 'b', 0}, "odd": {4, 0, 'a', 0, 0}, "too long": append([]byte{4, 0}, wide(strings.Repeat("a", 3000))...),
	} {
		if _, err := Parse(b); err != ntstatus.InvalidParameter {
			t.Error(name, err)
		}
	}
	path, site := wide(`\gate\home`), wide("here")
	data := append(append(le.AppendUint16(nil, uint16(len(path))), path...), append(le.AppendUint16(nil, uint16(len(site))), site...)...)
	ex := append(le.AppendUint32([]byte{4, 0, 1, 0}, uint32(len(data))), data...)
	if r, err := ParseEx(ex); err != nil || r.Path != `\gate\home` || r.Site != "here" {
		t.Error(r, err)
	}
	for cut := range len(ex) {
		if _, err := ParseEx(ex[:cut]); err == nil {
			t.Error("cut at", cut)
		}
	}
	for path, want := range map[string][3]string{`\a\b\c\d`: {"a", "b", `c\d`}, `\a\b`: {"a", "b", ""}, `\a`: {"a", "", ""}, "": {}, `\\a\b\`: {"a", "b", ""}} {
		server, share, rest := Split(path)
		if [3]string{server, share, rest} != want {
			t.Errorf("%q: %q %q %q", path, server, share, rest)
		}
	}
}

func sample() *Referral {
	return &Referral{Path: `\g\h`, Consumed: `\G\é`, Targets: []string{`\a\h`, `\b\h`}, TTL: 300 * time.Second}
}

// A version 3 answer byte by byte ([MS-DFSC] 2.2.5.3.1).
func TestVersion3(t *testing.T) {
	want := "0800" + "0200" + "02000000" +
		"0300" + "2200" + "0000" + "0000" + "2c010000" + "4400" + "4e00" + "5800" + strings.Repeat("00", 16) +
		"0300" + "2200" + "0000" + "0000" + "2c010000" + "2200" + "2c00" + "4000" + strings.Repeat("00", 16) +
		hex.EncodeToString(wide(`\g\h`)) + hex.EncodeToString(wide(`\g\h`)) + hex.EncodeToString(wide(`\a\h`)) + hex.EncodeToString(wide(`\b\h`))
	got, err := sample().Append(nil, 3, 4096)
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("%x, %v\n%s", got, err, want)
	}
	if cut, err := sample().Append([]byte("x"), 3, len(got)-1); err != ntstatus.BufferOverflow || len(cut) != 1 {
		t.Error(cut, err)
	}
	if all, err := sample().Append([]byte("x"), 3, len(got)); err != nil || len(all) != len(got)+1 {
		t.Error(err)
	}
}

// read understands answers as a client does.
func read(t *testing.T, b []byte) (consumed int, flags uint32, paths, targets []string, entryFlags []uint16, ttl uint32) {
	t.Helper()
	consumed, flags = int(le.Uint16(b)), le.Uint32(b[4:])
	count := int(le.Uint16(b[2:]))
	str := func(b []byte) string {
		s, _, ok := text(b)
		if !ok {
			t.Fatal("a string without end")
		}
		return s
	}
	b = b[8:]
	for range count {
		version, size := le.Uint16(b), int(le.Uint16(b[2:]))
		entryFlags = append(entryFlags, le.Uint16(b[6:]))
		var offsets []byte
		switch version {
		case 1:
			targets = append(targets, str(b[8:size]))
			b = b[size:]
			continue
		case 2:
			ttl, offsets = le.Uint32(b[12:]), b[16:]
		default:
			ttl, offsets = le.Uint32(b[8:]), b[12:]
		}
		paths = append(paths, str(b[le.Uint16(offsets):]))
		if str(b[le.Uint16(offsets[2:]):]) != paths[len(paths)-1] {
			t.Error("the alternate path differs")
		}
		targets = append(targets, str(b[le.Uint16(offsets[4:]):]))
		b = b[size:]
	}
	return
}

func TestVersions(t *testing.T) {
	r := sample()
	for level := 1; level <= 9; level++ {
		for _, root := range []bool{false, true} {
			r.Root, r.Failback = root, root
			b, err := r.Append(nil, level, 4096)
			if err != nil || int(le.Uint16(b[8:])) != min(level, 4) {
				t.Fatal(level, err)
			}
			consumed, flags, paths, targets, entryFlags, ttl := read(t, b)
			if consumed != 8 || fmt.Sprint(targets) != fmt.Sprint(r.Targets) || flags != map[bool]uint32{false: 2, true: 7}[root] {
				t.Error(level, consumed, flags, targets)
			}
			if level > 1 && (ttl != 300 || paths[1] != r.Path) {
				t.Error(level, ttl, paths)
			}
			if (entryFlags[0] == targetSetBoundary) != (level >= 4) || entryFlags[1] != 0 {
				t.Error(level, entryFlags)
			}
			if (le.Uint16(b[12:]) == serverRoot) != root {
				t.Error(level, root)
			}
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, r := range []*Referral{{}, {Targets: make([]string, MaxTargets+1)}} {
		if _, err := r.Append(nil, 3, 4096); err != ntstatus.InvalidParameter {
			t.Error(err)
		}
	}
	if _, err := sample().Append(nil, 0, 4096); err != ntstatus.InvalidParameter {
		t.Error(err)
	}
	long := &Referral{Targets: []string{strings.Repeat("a", 40000)}}
	if _, err := long.Append(nil, 3, 1<<20); err != ntstatus.BufferOverflow {
		t.Error("offsets would wrap:", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(append([]byte{4, 0}, wide(`\gate\home\x`)...))
	f.Add([]byte{4, 0, 1, 0, 6, 0, 0, 0, 2, 0, 'a', 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Request, error){Parse, ParseEx} {
			r, err := parse(b)
			if err != nil {
				continue
			}
			if len(r.Path) > 3*MaxPath/2+2 {
				t.Fatal(len(r.Path))
			}
			server, share, rest := Split(r.Path)
			out, err := (&Referral{Path: r.Path, Consumed: r.Path, Targets: []string{server, share, rest}}).Append(nil, r.MaxLevel%5, 1<<20)
			if err != nil {
				continue
			}
			if _, _, _, targets, _, _ := read(t, out); len(targets) != 3 {
				t.Fatal(targets)
			}
		}
	})
}
