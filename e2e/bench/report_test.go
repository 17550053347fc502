package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func sample(workload, server string, round int, perUnit time.Duration) Sample {
	return Sample{Workload: workload, Server: server, Round: round, Unit: "call", Units: 10, CPU: 10 * perUnit, Duration: time.Second}
}

func TestRatiosArePairedByRound(t *testing.T) {
	samples := []Sample{
		// The machine is ten times slower in round 1: ratios stay, and their median is that of 0.5, 0.6, 0.4.
		sample("null-c1q1", "causeway", 0, 50), sample("null-c1q1", "ganesha", 0, 100),
		sample("null-c1q1", "ganesha", 1, 1000), sample("null-c1q1", "causeway", 1, 600),
		sample("null-c1q1", "causeway", 2, 40), sample("null-c1q1", "ganesha", 2, 100),
		sample("null-c1q1", "causeway", 3, 7777), // without a partner
	}
	lines := summarise(samples, "ganesha", func(string, string) float64 { return 0.45 })
	if len(lines) != 2 || lines[0].Server != "causeway" {
		t.Fatalf("lines %+v", lines)
	}
	if got := lines[0].Ratio; got != 0.5 {
		t.Errorf("ratio %v, not 0.5", got)
	}
	if lines[0].Rounds != 4 || lines[1].Ratio != 1 {
		t.Errorf("lines %+v", lines)
	}
	var out bytes.Buffer
	table(&out, lines, "ganesha")
	if text := out.String(); !strings.Contains(text, "MISSED") || !strings.Contains(text, "≤ 0.45") {
		t.Errorf("table:\n%s", text)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		workload string
		durable  bool
		want     float64
	}{
		{"null-c1q32", false, 0.1}, {"read4k-c1q32", true, 0.2}, {"read4k-c64q1", true, 0.5},
		{"unlink-c8q1", true, 1.2}, {"create4k-filesync-c8q1", false, 0.8}, {"write1m-c1q1", true, 0},
	} {
		if got := target(c.workload, c.durable); got != c.want {
			t.Errorf("target of %s (durable %v) is %v, not %v", c.workload, c.durable, got, c.want)
		}
	}
}
