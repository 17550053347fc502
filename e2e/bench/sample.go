package main

import "time"

// Sample is one measurement of one workload on one server.
type Sample struct {
	Workload string        `json:"workload"`
	Server   string        `json:"server"`
	Round    int           `json:"round"`
	Unit     string        `json:"unit"`
	Units    float64       `json:"units"`
	Calls    int64         `json:"calls"`
	Duration time.Duration `json:"duration_ns"`
	CPU      time.Duration `json:"server_cpu_ns"`
	There    time.Duration `json:"process_cpu_ns"` // of it, in the process that was asked, with what it uses when idle
	Own      time.Duration `json:"generator_cpu_ns"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Peak     int64         `json:"server_peak_rss_bytes"`
}

// PerUnit is the server's CPU time per unit of work.
func (s Sample) PerUnit() float64 { return float64(s.CPU) / s.Units }

// Rate is units per second.
func (s Sample) Rate() float64 { return s.Units / s.Duration.Seconds() }
