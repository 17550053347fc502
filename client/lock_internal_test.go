package client

import (
	"slices"
	"testing"
)

func TestSpanLess(t *testing.T) {
	for _, c := range []struct {
		others, left []span
	}{
		{nil, []span{{5, 25, true}}},
		{[]span{{0, 5, false}, {25, 30, true}}, []span{{5, 25, true}}},
		{[]span{{0, 6, false}, {20, 30, true}}, []span{{6, 20, true}}},
		{[]span{{10, 12, true}}, []span{{5, 10, true}, {12, 25, true}}},
		{[]span{{0, 30, true}}, nil},
	} {
		if left := (span{5, 25, true}).less(c.others); !slices.Equal(left, c.left) {
			t.Errorf("%v: %v", c.others, left)
		}
	}
}
