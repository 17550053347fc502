package nlm

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"causeway"
	"causeway/gateway/nfs/xdr"

	other "github.com/buildbarn/go-xdr/pkg/protocols/nlm"
	"pgregory.net/rapid"
)

// goldenLock is a LOCK call's arguments as a Linux client builds them: fcntl(F_SETLKW, F_WRLCK, 100, 10) of lock owner 7 on host
// "guest1", NSM state 3.
const goldenLock = "00000004" + "34120000" + // cookie
	"00000001" + "00000001" + // block, exclusive
	"00000006" + "677565737431" + "0000" + // caller_name
	"00000005" + "0102030405" + "000000" + // file handle
	"00000008" + "3740677565737431" + // owner "7@guest1"
	"00000007" + // svid
	"0000000000000064" + "000000000000000a" + // range
	"00000000" + "00000003" // reclaim, state

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenLock(t *testing.T) {
	d := xdr.NewDecoder(unhex(t, goldenLock))
	var a args
	if !a.decode(&d, procLock, true) || !d.Done() {
		t.Fatal("not decoded")
	}
	l := a.lock
	if !a.block || !a.exclusive || a.reclaim || a.state != 3 || l.caller != "guest1" || string(l.oh) != "7@guest1" || l.svid != 7 || l.offset != 100 || l.length != 10 {
		t.Errorf("%+v", a)
	}
}

func TestGoldenResults(t *testing.T) {
	cookie := []byte{1, 2, 3, 4}
	for _, c := range []struct {
		r    result
		wide bool
		want string
	}{
		{result{cookie: cookie, status: blocked}, true, "00000004" + "01020304" + "00000003"},
		{result{status: deadlock}, true, "00000000" + "00000005"},
		{result{status: deadlock}, false, "00000000" + "00000001"},
		{result{status: staleHandle}, false, "00000000" + "00000002"},
		{result{cookie: cookie, test: true}, true, "00000004" + "01020304" + "00000000"},
		{
			result{cookie: cookie, test: true, status: denied, holder: holder{true, 9, causeway.Span{Offset: 5, Length: causeway.ToEOF}}}, true,
			"00000004" + "01020304" + "00000001" + "00000001" + "00000009" + "00000000" + "0000000000000005" + "0000000000000000",
		},
		{
			result{test: true, status: denied, holder: holder{false, 9, causeway.Span{Offset: 5, Length: 6}}}, false,
			"00000000" + "00000001" + "00000000" + "00000009" + "00000000" + "00000005" + "00000006",
		},
		{result{share: true, status: failed}, true, "00000000" + "00000009" + "00000000"},
	} {
		var e xdr.Encoder
		c.r.encode(&e, c.wide)
		if got := hex.EncodeToString(e.Bytes()); got != c.want {
			t.Errorf("%+v:\n%s\n%s", c.r, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for _, c := range []struct {
		offset, length uint64
		want           causeway.Span
		code           causeway.Code
	}{
		{0, 0, causeway.Span{Length: causeway.ToEOF}, causeway.OK},
		{7, 3, causeway.Span{Offset: 7, Length: 3}, causeway.OK},
		{7, math.MaxUint64, causeway.Span{Offset: 7, Length: causeway.ToEOF}, causeway.OK},
		{7, math.MaxInt64, causeway.Span{Offset: 7, Length: causeway.ToEOF}, causeway.OK},
		{math.MaxInt64, 1, causeway.Span{Offset: math.MaxInt64, Length: 1}, causeway.OK},
		{math.MaxInt64, 2, causeway.Span{}, causeway.ErrFBig},
		{math.MaxInt64 + 1, 0, causeway.Span{}, causeway.ErrFBig},
		{math.MaxUint64, math.MaxUint64, causeway.Span{}, causeway.ErrFBig},
	} {
		l := lockArgs{offset: c.offset, length: c.length}
		if got, code := l.span(); got != c.want || code != c.code {
			t.Errorf("%d+%d: %v %v", c.offset, c.length, got, code)
		}
	}
}

// TestHostileArguments: nothing of what is too long, missing or not printable is taken.
func TestHostileArguments(t *testing.T) {
	good := args{lock: lockArgs{caller: "host", handle: []byte{1}, oh: []byte{2}}}
	for name, change := range map[string]func(*args){
		"cookie too long":  func(a *args) { a.cookie = make([]byte, maxNetobj+1) },
		"name too long":    func(a *args) { a.lock.caller = strings.Repeat("x", maxName+1) },
		"name empty":       func(a *args) { a.lock.caller = "" },
		"name with NUL":    func(a *args) { a.lock.caller = "a\x00b" },
		"name with a line": func(a *args) { a.lock.caller = "a\nb" },
		"name not UTF-8":   func(a *args) { a.lock.caller = "\xff\xfe" },
		"handle too long":  func(a *args) { a.lock.handle = make([]byte, maxNetobj+1) },
		"owner too long":   func(a *args) { a.lock.oh = make([]byte, maxOH+1) },
	} {
		bad := good
		change(&bad)
		for _, a := range []args{good, bad} {
			var e xdr.Encoder
			a.encode(&e, true)
			d := xdr.NewDecoder(e.Bytes())
			var got args
			if ok := got.decode(&d, procTest, true); ok != (a.lock.caller == "host" && len(a.cookie)+len(a.lock.handle)+len(a.lock.oh) == 2) {
				t.Errorf("%s: taken: %v", name, ok)
			}
		}
	}
	whole := unhex(t, goldenLock)
	for n := range whole {
		d := xdr.NewDecoder(whole[:n])
		var a args
		if a.decode(&d, procLock, true) {
			t.Errorf("%d bytes are enough", n)
		}
	}
}

// otherLock is our arguments in the other codec's types.
func otherLock(a *args) other.Nlm4Lock {
	return other.Nlm4Lock{CallerName: a.lock.caller, Fh: a.lock.handle, Oh: a.lock.oh, Svid: int32(a.lock.svid), LOffset: a.lock.offset, LLen: a.lock.length}
}

// TestAgainstAnotherCodec: an independent codec writes what we read, and reads what we write.
func TestAgainstAnotherCodec(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a := args{
			cookie: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "cookie"), block: rapid.Bool().Draw(r, "block"),
			exclusive: rapid.Bool().Draw(r, "exclusive"), reclaim: rapid.Bool().Draw(r, "reclaim"), state: rapid.Uint32().Draw(r, "state"),
			lock: lockArgs{
				rapid.StringMatching(`[a-z][a-z0-9.-]{0,60}`).Draw(r, "caller"), rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(r, "handle"),
				rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(r, "oh"), rapid.Uint32().Draw(r, "svid"), rapid.Uint64().Draw(r, "offset"), rapid.Uint64().Draw(r, "length"),
			},
		}
		agreeArgs(r, &a)
		agreeResults(r, &a)
	})
}

func agreeArgs(r *rapid.T, a *args) {
	for proc, m := range map[uint32]interface {
		WriteTo(*bytes.Buffer) error
	}{
		procLock: writer{func(b *bytes.Buffer) error {
			_, err := (&other.Nlm4Lockargs{Cookie: a.cookie, Block: a.block, Exclusive: a.exclusive, Alock: otherLock(a), Reclaim: a.reclaim, State: int32(a.state)}).WriteTo(b)
			return err
		}},
		procCancel: writer{func(b *bytes.Buffer) error {
			_, err := (&other.Nlm4Cancargs{Cookie: a.cookie, Block: a.block, Exclusive: a.exclusive, Alock: otherLock(a)}).WriteTo(b)
			return err
		}},
		procTest: writer{func(b *bytes.Buffer) error {
			_, err := (&other.Nlm4Testargs{Cookie: a.cookie, Exclusive: a.exclusive, Alock: otherLock(a)}).WriteTo(b)
			return err
		}},
		procUnlock: writer{func(b *bytes.Buffer) error {
			_, err := (&other.Nlm4Unlockargs{Cookie: a.cookie, Alock: otherLock(a)}).WriteTo(b)
			return err
		}},
	} {
		var b bytes.Buffer
		if err := m.WriteTo(&b); err != nil {
			r.Fatal(err)
		}
		d := xdr.NewDecoder(b.Bytes())
		var got args
		if !got.decode(&d, proc, true) || !d.Done() || string(got.cookie) != string(a.cookie) ||
			got.lock.caller != a.lock.caller || string(got.lock.handle) != string(a.lock.handle) || string(got.lock.oh) != string(a.lock.oh) ||
			got.lock.svid != a.lock.svid || got.lock.offset != a.lock.offset || got.lock.length != a.lock.length {
			r.Fatalf("procedure %d: %+v", proc, got)
		}
		if proc != procUnlock && got.exclusive != a.exclusive || proc == procLock && (got.block != a.block || got.reclaim != a.reclaim || got.state != a.state) {
			r.Fatalf("procedure %d: %+v", proc, got)
		}
	}
	var e xdr.Encoder
	a.encode(&e, true)
	var granted other.Nlm4Testargs
	if n, err := granted.ReadFrom(bytes.NewReader(e.Bytes())); err != nil || int(n) != e.Len() || granted.Alock.CallerName != a.lock.caller || granted.Alock.LLen != a.lock.length {
		r.Fatal(n, err, granted)
	}
}

type writer struct{ write func(*bytes.Buffer) error }

func (w writer) WriteTo(b *bytes.Buffer) error { return w.write(b) }

func agreeResults(r *rapid.T, a *args) {
	res := result{cookie: a.cookie, status: status(rapid.IntRange(0, 9).Draw(r, "status"))}
	var e xdr.Encoder
	res.encode(&e, true)
	var got other.Nlm4Res
	if n, err := got.ReadFrom(bytes.NewReader(e.Bytes())); err != nil || int(n) != e.Len() || uint32(got.Stat.Stat) != uint32(res.status) {
		r.Fatal(n, err, got)
	}
	res.test, res.holder = true, holder{a.exclusive, a.lock.svid, causeway.Span{Offset: a.lock.offset >> 1, Length: a.lock.length>>2 + 1}}
	e = xdr.Encoder{}
	res.encode(&e, true)
	var tested other.Nlm4Testres
	n, err := tested.ReadFrom(bytes.NewReader(e.Bytes()))
	if err != nil || int(n) != e.Len() {
		r.Fatal(n, err)
	}
	if h, ok := tested.TestStat.(*other.Nlm4Testrply_NLM4_DENIED); ok != (res.status == denied) || ok && (h.Holder.Svid != int32(a.lock.svid) || h.Holder.LOffset != res.holder.span.Offset) {
		r.Fatal(tested)
	}
}

func FuzzArgs(f *testing.F) {
	f.Add(uint32(procLock), true, unhex(f, goldenLock))
	f.Add(uint32(procUnlock), false, unhex(f, goldenLock))
	f.Fuzz(func(t *testing.T, proc uint32, wide bool, in []byte) {
		d := xdr.NewDecoder(in)
		var a args
		if !a.decode(&d, proc, wide) || proc != procTest {
			return
		}
		var e xdr.Encoder
		a.encode(&e, wide)
		if read := in[:len(in)-len(d.Rest())]; len(e.Bytes()) != len(read) {
			t.Fatalf("%x\n%x", e.Bytes(), read)
		}
	})
}
