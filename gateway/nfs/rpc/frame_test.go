package rpc

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// fragmented writes a record as fragments that end at the cuts.
func fragmented(record []byte, cuts ...int) (out []byte) {
	at := 0
	for i, cut := range append(cuts, len(record)) {
		word := uint32(cut - at)
		if i == len(cuts) {
			word |= lastFragment
		}
		out = binary.BigEndian.AppendUint32(out, word)
		out = append(out, record[at:cut]...)
		at = cut
	}
	return out
}

// feed gives a stream to a framer in pieces, as a connection does, and returns copies of the records.
func feed(stream []byte, pieces func() int, limit int) (records [][]byte, err error) {
	f := framer{}
	b := make([]byte, 16)
	for len(stream) > 0 {
		if f.end == len(b) {
			grown := b
			if f.kept() > len(b)/2 {
				grown = make([]byte, 2*len(b))
			}
			f.moveTo(grown, b)
			b = grown
		}
		n := copy(b[f.end:], stream[:min(len(stream), pieces())])
		stream = stream[n:]
		f.end += n
		for {
			record, err := f.record(b, limit)
			if err != nil {
				return records, err
			}
			if record == nil {
				break
			}
			records = append(records, slices.Clone(record))
		}
	}
	if !f.empty() {
		records = append(records, nil) // a rest
	}
	return records, nil
}

func TestFramerPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var want [][]byte
		var stream []byte
		for range 1 + random.IntN(8) {
			record := make([]byte, random.IntN(400))
			for i := range record {
				record[i] = byte(random.Uint32())
			}
			var cuts []int
			for range random.IntN(6) {
				if n := random.IntN(len(record) + 1); n < len(record) {
					cuts = append(cuts, n) // equal cuts make empty fragments
				}
			}
			slices.Sort(cuts)
			want = append(want, record)
			stream = append(stream, fragmented(record, cuts...)...)
		}
		for name, pieces := range map[string]func() int{
			"bytes": func() int { return 1 }, "all": func() int { return len(stream) }, "random": func() int { return 1 + random.IntN(100) },
		} {
			got, err := feed(stream, pieces, 400)
			if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatalf("round %d, %s: %d records of %d, %v", round, name, len(got), len(want), err)
			}
		}
	}
}

func TestFramerBounds(t *testing.T) {
	all := func() int { return 1 << 20 }
	if _, err := feed(fragmented(make([]byte, 101)), all, 100); err != errRecordTooLarge {
		t.Error(err)
	}
	if _, err := feed(fragmented(make([]byte, 101), 60), all, 100); err != errRecordTooLarge {
		t.Error(err)
	}
	if _, err := feed([]byte{0xff, 0xff, 0xff, 0xff}, all, 1<<20); err != errRecordTooLarge {
		t.Error(err)
	}
	if _, err := feed(make([]byte, 4*maxFragments+8), all, 100); err != errFragments {
		t.Error(err)
	}
	if got, err := feed([]byte{0x80, 0, 0, 0}, all, 100); err != nil || len(got) != 1 || len(got[0]) != 0 {
		t.Error("empty record", got, err)
	}
}

// FuzzFramer compares the framer with a plain reading of the same stream, under any division into pieces.
func FuzzFramer(f *testing.F) {
	f.Add(fragmented([]byte("hello, world"), 3, 3, 7), uint64(1))
	f.Add([]byte{0, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 1}, uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		const limit = 1000
		want, bad := plainRecords(stream, limit)
		random := rand.New(rand.NewPCG(seed, seed))
		got, err := feed(stream, func() int { return 1 + random.IntN(50) }, limit)
		if (err != nil) != bad || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d records, want %d; %v, want bad %v", len(got), len(want), err, bad)
		}
	})
}

func plainRecords(stream []byte, limit int) (records [][]byte, bad bool) {
	var record []byte
	fragments, started := 0, false
	for len(stream) >= 4 {
		word := binary.BigEndian.Uint32(stream)
		n := int(word &^ lastFragment)
		if len(record)+n > limit {
			return records, true
		}
		stream, started = stream[4:], true
		if n > len(stream) {
			return append(records, nil), false
		}
		record, stream = append(record, stream[:n]...), stream[n:]
		if word&lastFragment != 0 {
			records, record, fragments, started = append(records, record), nil, 0, false
		} else if fragments++; fragments > maxFragments {
			return records, true
		}
	}
	if started || len(stream) > 0 {
		records = append(records, nil)
	}
	return records, false
}
