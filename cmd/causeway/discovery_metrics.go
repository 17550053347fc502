package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"causeway/discovery"
)

// dnsMetrics shows Prometheus what is answered by DNS.
type dnsMetrics struct{ stats func() discovery.Stats }

var (
	dnsQuestionsDesc = prometheus.NewDesc("causeway_discovery_questions_total", "Questions by DNS, by what became of them.", []string{"result"}, nil)
	dnsConnsDesc     = prometheus.NewDesc("causeway_discovery_connections_count", "TCP connections of those who ask by DNS.", nil, nil)
)

// Describe names them.
func (m dnsMetrics) Describe(to chan<- *prometheus.Desc) { to <- dnsQuestionsDesc; to <- dnsConnsDesc }

// Collect reads the server's counters.
func (m dnsMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.stats()
	for result, n := range map[string]uint64{"answered": s.Answered, "absent": s.Absent, "refused": s.Refused, "malformed": s.Malformed,
		"stale": s.Stale, "limited": s.Limited} {
		to <- prometheus.MustNewConstMetric(dnsQuestionsDesc, prometheus.CounterValue, float64(n), result)
	}
	to <- prometheus.MustNewConstMetric(dnsConnsDesc, prometheus.GaugeValue, float64(s.Conns))
}
