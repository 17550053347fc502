package rpc

import (
	"encoding/binary"
	"errors"
)

// Record marking, RFC 5531 §11: a record is sent as fragments, each behind a word of its length; the highest bit marks the last.
const (
	lastFragment = 1 << 31
	markSize     = 4
	maxFragments = 4096 // of one record, empty ones too: nobody honest sends more than a handful
)

var (
	errRecordTooLarge = errors.New("record too large")
	errFragments      = errors.New("too many fragments")
)

// framer finds records in the bytes b[next:end] of a buffer that its owner fills. The fragments of a record are joined in place:
// b[start:fill] is what is joined of the record under way, so no byte moves more than once.
type framer struct {
	start, fill int  // the record under way
	next, end   int  // what was not looked at yet
	left        int  // missing bytes of the current fragment
	inside      bool // a mark was read and its record is not complete
	last        bool
	fragments   int
}

// empty reports that nothing is kept: the buffer can be given back.
func (f *framer) empty() bool { return !f.inside && f.next == f.end }

// record returns the next complete record as a view of b, or nil when more must be read.
func (f *framer) record(b []byte, limit int) ([]byte, error) {
	for {
		if !f.inside || f.left == 0 {
			if f.end-f.next < markSize {
				return nil, nil
			}
			if err := f.mark(binary.BigEndian.Uint32(b[f.next:]), limit); err != nil {
				return nil, err
			}
		}
		n := min(f.left, f.end-f.next)
		if f.fill != f.next {
			copy(b[f.fill:], b[f.next:f.next+n])
		}
		f.fill, f.next, f.left = f.fill+n, f.next+n, f.left-n
		if f.left > 0 {
			return nil, nil
		}
		if f.last {
			f.inside = false
			return b[f.start:f.fill:f.fill], nil
		}
		f.fragments++
		if f.fragments > maxFragments {
			return nil, errFragments
		}
	}
}

// mark takes the next fragment's mark.
func (f *framer) mark(word uint32, limit int) error {
	n := int(word &^ lastFragment)
	f.next += markSize
	if !f.inside {
		f.inside, f.fragments = true, 0
		f.start, f.fill = f.next, f.next
	}
	if n > limit-(f.fill-f.start) {
		return errRecordTooLarge
	}
	f.left, f.last = n, word&lastFragment != 0
	return nil
}

// kept returns how many bytes moveTo will move.
func (f *framer) kept() int {
	if !f.inside {
		return f.end - f.next
	}
	return f.fill - f.start + f.end - f.next
}

// missing returns how many bytes the current fragment lacks, 0 if that is not known.
func (f *framer) missing() int {
	if !f.inside {
		return 0
	}
	return max(0, f.left-(f.end-f.next))
}

// moveTo moves what is kept to the start of dst, which may be b itself.
func (f *framer) moveTo(dst, b []byte) {
	n := 0
	if f.inside {
		n = copy(dst, b[f.start:f.fill])
	}
	m := copy(dst[n:], b[f.next:f.end])
	f.start, f.fill, f.next, f.end = 0, n, n, n+m
}
