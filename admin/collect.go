package admin

import (
	"context"
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

// sourceCollector makes Prometheus metrics of what the source shows.
type sourceCollector struct{ src *Source }

var (
	volumeBytesDesc  = desc("volume_storage_bytes", "Storage of a volume.", []string{"volume", "state"})
	volumeFilesDesc  = desc("volume_files_count", "Objects on a volume's storage.", []string{"volume"})
	clientsDesc      = desc("rpc_clients_count", "Hosts with a connection.", nil)
	connectionsDesc  = desc("rpc_connections_count", "Open connections.", nil)
	inFlightDesc     = desc("rpc_in_flight_calls", "Calls in goroutines of their own, because they wait for storage or others.", nil)
	bufferDesc       = desc("rpc_buffer_bytes", "Memory of large calls and replies.", nil)
	troubleDesc      = desc("rpc_trouble_total", "Calls rejected before any program saw them, connections refused or timed out, and panics.", []string{"kind"})
	locksDesc        = desc("lockmgr_locks_count", "Byte ranges that are locked.", nil)
	cacheHitsDesc    = desc("cache_hits_total", "Look-ups that a cache answered.", []string{"cache"})
	cacheMissesDesc  = desc("cache_misses_total", "Look-ups that a cache could not answer.", []string{"cache"})
	cacheEntriesDesc = desc("cache_entries_count", "Entries of a cache.", []string{"cache"})
	scrapeTimeout    = 5 * time.Second
	sourceDescs      = []*prometheus.Desc{volumeBytesDesc, volumeFilesDesc, clientsDesc, connectionsDesc, inFlightDesc, bufferDesc, troubleDesc, locksDesc, cacheHitsDesc, cacheMissesDesc, cacheEntriesDesc}
)

// Describe sends the descriptions.
func (c sourceCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range sourceDescs {
		ch <- d
	}
}

// Collect asks the source.
func (c sourceCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if c.src.Volumes != nil {
		for _, v := range c.src.Volumes(ctx) {
			if v.Error == "" {
				gauge(volumeBytesDesc, float64(v.Total), v.Name, "total")
				gauge(volumeBytesDesc, float64(v.Used), v.Name, "used")
				gauge(volumeBytesDesc, float64(v.Avail), v.Name, "available")
				gauge(volumeFilesDesc, float64(v.Files), v.Name)
			}
		}
	}
	if c.src.Clients != nil {
		gauge(clientsDesc, float64(len(c.src.Clients(ctx))))
	}
	if c.src.Traffic != nil {
		t := c.src.Traffic(ctx)
		gauge(connectionsDesc, float64(t.Connections))
		gauge(inFlightDesc, float64(t.InFlight))
		gauge(bufferDesc, float64(t.BufferBytes))
		for kind, count := range map[string]uint64{"rejected": t.Rejected, "refused": t.Refused, "timed_out": t.TimedOut, "panic": t.Panics} {
			ch <- counter(troubleDesc, count, kind)
		}
	}
	if c.src.Locks != nil {
		if locks, err := c.src.Locks(ctx); err == nil {
			gauge(locksDesc, float64(len(locks)))
		}
	}
	if c.src.Caches != nil {
		for _, k := range c.src.Caches(ctx) {
			ch <- counter(cacheHitsDesc, k.Hits, k.Name)
			ch <- counter(cacheMissesDesc, k.Misses, k.Name)
			gauge(cacheEntriesDesc, float64(k.Entries), k.Name)
		}
	}
}
