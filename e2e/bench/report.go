package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Line is what all rounds say about one workload on one server: medians, each figure by itself.
type Line struct {
	Workload string  `json:"workload"`
	Server   string  `json:"server"`
	Unit     string  `json:"unit"`
	PerUnit  float64 `json:"server_cpu_ns_per_unit"`
	There    float64 `json:"process_cpu_ns_per_unit"`
	Own      float64 `json:"generator_cpu_ns_per_unit"`
	Ratio    float64 `json:"ratio"` // median of the rounds' ratios to the base server; 0 if there is none
	Target   float64 `json:"target"`
	Rate     float64 `json:"units_per_second"`
	// RateRatio is Ratio for rates.
	RateRatio float64       `json:"rate_ratio"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Peak      int64         `json:"server_peak_rss_bytes"`
	Rounds    int           `json:"rounds"`
}

// summarise makes a line per workload and server, in the order in which they first appear.
func summarise(samples []Sample, base string, goal func(workload, server string) float64) (lines []Line) {
	type key struct{ workload, server string }
	groups := make(map[key][]Sample)
	var order []key
	for _, s := range samples {
		k := key{s.Workload, s.Server}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	for _, k := range order {
		own := groups[k]
		lines = append(lines, Line{
			Workload:  k.workload,
			Server:    k.server,
			Unit:      own[0].Unit,
			PerUnit:   median(own, Sample.PerUnit),
			There:     median(own, func(s Sample) float64 { return float64(s.There) / s.Units }),
			Own:       median(own, func(s Sample) float64 { return float64(s.Own) / s.Units }),
			Ratio:     ratio(own, groups[key{k.workload, base}], Sample.PerUnit),
			RateRatio: ratio(own, groups[key{k.workload, base}], Sample.Rate),
			Target:    goal(k.workload, k.server),
			Rate:      median(own, Sample.Rate),
			P50:       time.Duration(median(own, func(s Sample) float64 { return float64(s.P50) })),
			P99:       time.Duration(median(own, func(s Sample) float64 { return float64(s.P99) })),
			Peak:      int64(median(own, func(s Sample) float64 { return float64(s.Peak) })),
			Rounds:    len(own),
		})
	}
	return lines
}

func median(samples []Sample, figure func(Sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, figure(s))
	}
	return middle(values)
}

// middle is the median, 0 of nothing.
func middle(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// ratio is the median of the ratios within rounds that have both.
func ratio(own, base []Sample, figure func(Sample) float64) float64 {
	var ratios []float64
	for _, s := range own {
		for _, b := range base {
			if s.Round == b.Round && b.CPU > 0 {
				ratios = append(ratios, figure(s)/figure(b))
			}
		}
	}
	return middle(ratios)
}

// table prints the lines, a block per workload.
func table(w io.Writer, lines []Line, base string) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "workload\tserver\tCPU/unit\t× %s\ttarget\t\trate/s\tp50\tp99\tpeak MiB\tgenerator\t\n", base)
	last := ""
	for _, l := range lines {
		name := l.Workload
		if name == last {
			name = ""
		} else if last != "" {
			fmt.Fprintln(out, "\t\t\t\t\t\t\t\t\t\t\t")
		}
		last = l.Workload
		goal, verdict := "", ""
		if l.Target > 0 {
			goal, verdict = fmt.Sprintf("≤ %.2f", l.Target), "met"
			if l.Ratio > l.Target {
				verdict = "MISSED"
			}
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.3f\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t\n", name, l.Server, cost(l.PerUnit, l.Unit), l.Ratio,
			goal, verdict, rate(l.Rate, l.Unit), brief(l.P50), brief(l.P99), l.Peak>>20, cost(l.Own, l.Unit))
	}
	out.Flush()
}

// cost prints nanoseconds per unit.
func cost(ns float64, unit string) string {
	if unit == "GiB" {
		return fmt.Sprintf("%.3f s/GiB", ns/1e9)
	}
	return fmt.Sprintf("%.2f µs/%s", ns/1e3, unit)
}

func rate(perSecond float64, unit string) string {
	if unit == "GiB" {
		return fmt.Sprintf("%.2f GiB", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

func brief(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return d.Round(100 * time.Nanosecond).String()
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// results is the JSON file.
type results struct {
	When    time.Time `json:"when"`
	Machine string    `json:"machine"`
	Base    string    `json:"base"`
	Lines   []Line    `json:"lines"`
	Samples []Sample  `json:"samples"`
}

func writeJSON(name string, r results) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}
