package v3

import "github.com/prometheus/client_golang/prometheus"

var callsDesc = prometheus.NewDesc("causeway_nfs3_calls_total", "NFSv3 calls answered, by procedure and status (nfsstat3).",
	[]string{"procedure", "status"}, nil)

var _ prometheus.Collector = (*Server)(nil)

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) { ch <- callsDesc }

// Collect implements prometheus.Collector.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	s.Counts(func(procedure, status string, calls uint64) {
		ch <- prometheus.MustNewConstMetric(callsDesc, prometheus.CounterValue, float64(calls), procedure, status)
	})
}
