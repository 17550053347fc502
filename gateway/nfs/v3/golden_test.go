package v3_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"causeway/backend/mem"
)

var rewrite = flag.Bool("rewrite", false, "write the replies of the golden calls anew")

// TestGolden replays the calls of a real client, byte for byte, and compares every reply with the one that was reviewed. The
// file holds a line "procedure uid gid" and two of hexadecimal digits per call: arguments and result. A result that
// changes is a change on the wire.
func TestGolden(t *testing.T) {
	const file = "testdata/linux-6.1.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	frozen := time.Unix(1_700_000_000, 123_456_789)
	s.reset(mem.New(mem.Config{Generation: 1, Clock: func() time.Time { return frozen }, Mode: 0o777}))
	var out bytes.Buffer
	var seen [procedures]bool
	lines := bufio.NewScanner(bytes.NewReader(text))
	next := func() string { lines.Scan(); return strings.TrimPrefix(lines.Text(), "  ") }
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		head := lines.Text()
		if strings.HasPrefix(head, "#") {
			fmt.Fprintln(&out, head)
			continue
		}
		var proc, uid, gid uint32
		if _, err := fmt.Sscan(head, &proc, &uid, &gid); err != nil {
			t.Fatal(head, err)
		}
		args, err := hex.DecodeString(next())
		want := next()
		if err != nil {
			t.Fatal(head, err)
		}
		s.as(uid, gid)
		result, _ := s.send(proc, args)
		maskVerifier(proc, result)
		if got := hex.EncodeToString(result); got != want && !*rewrite {
			t.Errorf("procedure %d, arguments %x\n got %s\nwant %s", proc, args, got, want)
		}
		if n, err := decoders[proc](bytes.NewReader(result)); err != nil || n != int64(len(result)) {
			t.Errorf("procedure %d: decoded %d of %x: %v", proc, n, result, err)
		}
		seen[proc] = true
		fmt.Fprintf(&out, "%s\n  %x\n  %x\n", head, args, result)
	}
	for proc, is := range seen {
		if !is {
			t.Errorf("procedure %d does not occur", proc)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// maskVerifier blanks the write verifier, the last 8 bytes of a successful WRITE or COMMIT: it differs from run to run.
func maskVerifier(proc uint32, result []byte) {
	if (proc == write || proc == commit) && bytes.Equal(result[:4], make([]byte, 4)) {
		clear(result[len(result)-8:])
	}
}
