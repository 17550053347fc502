package table

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"causeway"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts do into testdata")

// script interprets the verbs of testdata/*.txt. An owner is written client/name, an object by one name, a span
// offset+length with the length "eof" for the end of all files, a mode s or x.
type script struct {
	t *Table
}

func (s *script) run(line string) []string {
	f := strings.Fields(line)
	out, ok := s.verb(f[0], f[1:])
	if !ok {
		return []string{"?"}
	}
	for _, e := range s.t.Effects() {
		switch e.Kind {
		case Granted:
			out = append(out, "granted "+show(e.Lock))
		case GraceEnded:
			out = append(out, fmt.Sprintf("grace of %d ended", e.Volume))
		default:
			if line := showEffect(e); line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

func (s *script) verb(verb string, a []string) ([]string, bool) {
	switch verb {
	case "limits":
		n, ok := numbers(a, 4)
		if ok {
			s.t = New(Limits{Locks: n[0], LocksPerClient: n[1], Waiting: n[2], WaitingPerClient: n[3]})
		}
		return nil, ok
	case "lock", "test", "cancel", "assert":
		return s.request(verb, a)
	case "unlock":
		if len(a) != 3 {
			return nil, false
		}
		span, ok := parseSpan(a[2])
		return []string{s.t.Unlock(object1(a[1]), owner1(a[0]), span).Error()}, ok
	case "release-owner", "release-client", "told":
		if len(a) != 1 {
			return nil, false
		}
		s.client(verb, a[0])
		return nil, true
	case "grace": // grace VOLUME TICKS SETTLE CLIENT...
		n, ok := numbers(a[:min(3, len(a))], 3)
		if ok {
			var known []Client
			for _, c := range a[3:] {
				known = append(known, Client{causeway.OwnerNLM, c})
			}
			s.t.BeginGrace(causeway.VolumeID(n[0]), known, n[1], n[2])
		}
		return nil, ok
	case "tick":
		n, ok := numbers(a, 1)
		for i := 0; ok && i < n[0] && i < 1000; i++ {
			s.t.Tick()
		}
		return nil, ok
	case "dump":
		return s.dump(), true
	}
	return s.open(verb, a)
}

func (s *script) request(verb string, a []string) ([]string, bool) {
	if len(a) < 4 {
		return nil, false
	}
	span, ok := parseSpan(a[2])
	h, o, flags := object1(a[1]), owner1(a[0]), a[4:]
	r := Request{span, a[3] == "x", slices.Contains(flags, "wait"), slices.Contains(flags, "reclaim")}
	var by Lock
	var code causeway.Code
	switch verb {
	case "lock":
		from := ""
		for _, f := range flags {
			if node, ok := strings.CutPrefix(f, "from="); ok {
				from = node
			}
		}
		by, code = s.t.LockFrom(from, h, o, r)
	case "test":
		by, code = s.t.Test(h, o, r)
	case "assert":
		by, code = s.t.Assert(Lock{h, o, span, r.Exclusive})
	case "cancel":
		code = s.t.Cancel(h, o, r)
	}
	out := code.Error()
	if !by.Handle.IsZero() {
		out += " by " + show(by)
	}
	return []string{out}, ok
}

func (s *script) client(verb, name string) {
	c := Client{causeway.OwnerNLM, name}
	if after, ok := strings.CutPrefix(name, "@"); ok {
		c = Client{causeway.OwnerSMB, after}
	}
	switch verb {
	case "release-owner":
		s.t.ReleaseOwner(owner1(name))
	case "release-client":
		s.t.ReleaseClient(c)
	case "told":
		s.t.Told(c)
	}
}

func (s *script) dump() []string {
	list := slices.Collect(s.t.Held())
	Sort(list)
	var out []string
	for _, l := range list {
		out = append(out, "held "+show(l))
	}
	for _, l := range s.t.Waiting() {
		out = append(out, "waiting "+show(l))
	}
	return append(out, fmt.Sprintf("%+v", s.t.Stats()))
}

func owner1(s string) causeway.Owner {
	if after, ok := strings.CutPrefix(s, "@"); ok {
		o, _, _ := smbOwner(after)
		return o
	}
	client, name, _ := strings.Cut(s, "/")
	return causeway.Owner{Kind: causeway.OwnerNLM, Client: client, Opaque: name}
}

func object1(s string) (h causeway.Handle) {
	h.Volume = 1
	if v, name, ok := strings.Cut(s, ":"); ok {
		n, _ := strconv.Atoi(v)
		h.Volume, s = causeway.VolumeID(n), name
	}
	copy(h.Object[:], s)
	return h
}

func numbers(a []string, n int) ([]int, bool) {
	if len(a) != n {
		return nil, false
	}
	out := make([]int, n)
	for i, s := range a {
		v, err := strconv.Atoi(s)
		if err != nil {
			return nil, false
		}
		out[i] = v
	}
	return out, true
}

func parseSpan(s string) (span causeway.Span, ok bool) {
	off, length, found := strings.Cut(s, "+")
	o, err1 := strconv.ParseUint(off, 0, 64)
	l, err2 := strconv.ParseUint(length, 0, 64)
	if length == "eof" {
		l, err2 = causeway.ToEOF, nil
	}
	return causeway.Span{Offset: o, Length: l}, found && err1 == nil && err2 == nil
}

func show(l Lock) string {
	mode, length := "s", "eof"
	if l.Exclusive {
		mode = "x"
	}
	if l.Span.Length != causeway.ToEOF {
		length = strconv.FormatUint(l.Span.Length, 10)
	}
	name := strings.TrimRight(string(l.Handle.Object[:]), "\x00")
	if l.Handle.Volume != 1 {
		name = fmt.Sprintf("%d:%s", l.Handle.Volume, name)
	}
	return fmt.Sprintf("%s/%s %s %d+%s %s", l.Owner.Client, trim([]byte(l.Owner.Opaque)), name, l.Span.Offset, length, mode)
}

// play runs a whole script: a line that starts with a tab is what the line before it answered.
func play(t testing.TB, text string) string {
	s := &script{New(Limits{})}
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out.WriteString(line + "\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		for _, answer := range s.run(line) {
			out.WriteString("\t" + answer + "\n")
		}
		if err := s.t.check(); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
	return out.String()
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("run with -rewrite and look at the difference; got:\n%s", got)
			}
		})
	}
}

func FuzzScript(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) { play(t, text[:min(len(text), 8000)]) })
}
