package aware

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/net/http2"
)

// FuzzFrames: what is found does not depend on how it arrives, and all that is held is counted once.
func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	w := http2.NewFramer(&b, nil)
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("abc")})
	w.WriteData(1, false, make([]byte, 300))
	w.WriteRSTStream(1, http2.ErrCodeCancel)
	f.Add(b.Bytes(), byte(1))
	f.Add(b.Bytes(), byte(8))
	f.Fuzz(func(t *testing.T, text []byte, step byte) {
		whole, pieces := calls{open: map[uint32]int{}}, calls{open: map[uint32]int{}}
		one := whole.received(text)
		many := 0
		for piece := range slices.Chunk(text, max(int(step), 1)) {
			many += pieces.received(piece)
		}
		if one != many || whole.holds() != one || pieces.holds() != many {
			t.Fatal(one, many, whole.holds(), pieces.holds())
		}
		one -= whole.sent(text) // anything: what it says of streams is obeyed
		if one != whole.holds() || one < 0 || one != whole.end() || whole.received(text) != 0 || whole.holds() != 0 {
			t.Fatal(one, whole.holds())
		}
	})
}
