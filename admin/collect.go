package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// callCollector makes Prometheus metrics of the call counters.
type callCollector Metrics

var procedureLabels = []string{"program", "version", "procedure"}

var (
	callsDesc    = desc("rpc_calls_total", "Calls by what the RPC layer made of them.", append(procedureLabels[:3:3], "verdict"))
	statusDesc   = desc("rpc_replies_total", "Replies by the status that they carry.", append(procedureLabels[:3:3], "status"))
	bytesInDesc  = desc("rpc_in_bytes_total", "Bytes of calls.", procedureLabels)
	bytesOutDesc = desc("rpc_out_bytes_total", "Bytes of replies.", procedureLabels)
	latencyDesc  = desc("rpc_latency_seconds", "Time from the end of a call's arrival to its reply.", procedureLabels)
)

func desc(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("causeway_"+name, help, labels, nil)
}

// Describe sends the descriptions.
func (c *callCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{callsDesc, statusDesc, bytesInDesc, bytesOutDesc, latencyDesc} {
		ch <- d
	}
}

// Collect sends the counters of the procedures that were called.
func (c *callCollector) Collect(ch chan<- prometheus.Metric) {
	m := (*Metrics)(c)
	m.each(func(p *procedure) {
		s, labels := p.sum(), []string{p.program, p.version, p.name}
		if s.calls == 0 {
			return
		}
		for i, n := range s.verdicts {
			if n > 0 {
				ch <- counter(callsDesc, n, append(labels, m.verdicts[i])...)
			}
		}
		for i, n := range s.statuses {
			if n > 0 {
				ch <- counter(statusDesc, n, append(labels, m.statuses[i])...)
			}
		}
		ch <- counter(bytesInDesc, s.in, labels...)
		ch <- counter(bytesOutDesc, s.out, labels...)
		ch <- s.histogram(labels)
	})
}

func counter(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s *sum) histogram(labels []string) prometheus.Metric {
	below := make(map[float64]uint64, buckets-1)
	count := uint64(0)
	for i, n := range s.latency {
		count += n
		if i < buckets-1 {
			below[time.Duration(1<<(firstBucket+i)).Seconds()] = count
		}
	}
	return prometheus.MustNewConstHistogram(latencyDesc, count, time.Duration(s.nanos).Seconds(), below, labels...)
}
