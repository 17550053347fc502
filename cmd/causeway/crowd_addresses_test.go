package main

import (
	"net/netip"
	"testing"
	"time"
)

// TestPlaces: an address counts as having come when this gateway begins to look, and whenever it is found elsewhere, also after nobody had it.
func TestPlaces(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	begun := time.Now()
	at := func(minute int) time.Time { return begun.Add(time.Duration(minute) * time.Minute) }
	p := places{}
	for minute, step := range []struct {
		answering    map[string][]netip.Addr
		a, b, anyone int // minutes at which each came; -1: it is nowhere
	}{
		{map[string][]netip.Addr{"g1": {a, b}}, 0, 0, 0},
		{map[string][]netip.Addr{"g1": {a, b}}, 0, 0, 0},
		{map[string][]netip.Addr{"g1": {a}, "g2": {b}}, 0, 2, 2},
		{map[string][]netip.Addr{"g1": {a}}, 0, -1, 2},
		{map[string][]netip.Addr{"g1": {a}, "g2": {b}}, 0, 4, 4},
		{map[string][]netip.Addr{"g2": {a, b}}, 5, 4, 5},
	} {
		p.look(step.answering, at(minute))
		for addr, want := range map[netip.Addr]int{a: step.a, b: step.b} {
			since, is := p.since[addr]
			if is != (want >= 0) || is && !since.Equal(at(want)) {
				t.Errorf("minute %d: %v came at %v, not in minute %d", minute, addr, since.Sub(begun), want)
			}
		}
		if !p.shifted.Equal(at(step.anyone)) {
			t.Errorf("minute %d: the last came at %v", minute, p.shifted.Sub(begun))
		}
	}
}
