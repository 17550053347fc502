package admin

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sourceCollector makes Prometheus metrics of what the source shows.
type sourceCollector struct{ src *Source }

// scrapeTimeout bounds what asking the source may take.
const scrapeTimeout = 5 * time.Second

var sourceDescs []*prometheus.Desc

// shown is desc of something that the source shows.
func shown(name, help string, labels ...string) *prometheus.Desc {
	d := desc(name, help, labels)
	sourceDescs = append(sourceDescs, d)
	return d
}

var (
	volumeBytesDesc  = shown("volume_storage_bytes", "Storage of a volume.", "volume", "state")
	volumeFilesDesc  = shown("volume_files_count", "Objects on a volume's storage.", "volume")
	volumeCallsDesc  = shown("volume_calls_total", "NFS calls that named an object of a volume.", "volume")
	volumeInDesc     = shown("volume_in_bytes_total", "Bytes of their arguments.", "volume")
	volumeOutDesc    = shown("volume_out_bytes_total", "Bytes of their results.", "volume")
	descriptorsDesc  = shown("storage_descriptors_count", "Descriptors that a volume's store keeps open.", "volume")
	dirtyDesc        = shown("storage_dirty_files_count", "Files of a volume with writes that are not synced.", "volume")
	evictionsDesc    = shown("storage_evictions_total", "Descriptors that were closed to make room.", "volume")
	syncsDesc        = shown("storage_syncs_total", "fsync and syncfs calls.", "volume")
	syncRequestsDesc = shown("storage_sync_requests_total", "Requests that these calls satisfied.", "volume")
	syncErrorsDesc   = shown("storage_sync_errors_total", "Syncs that failed: clients were told to send their data again.", "volume")
	scansDesc        = shown("storage_scans_total", "Walks of the tree that repaired the index.", "volume")

	clientsDesc     = shown("rpc_clients_count", "Hosts with a connection.")
	connectionsDesc = shown("rpc_connections_count", "Open connections.")
	inFlightDesc    = shown("rpc_in_flight_calls", "Calls in goroutines of their own, because they wait for storage or others.")
	bufferDesc      = shown("rpc_buffer_bytes", "Memory of large calls and replies.")
	datagramsDesc   = shown("rpc_datagrams_total", "Calls by UDP.")
	troubleDesc     = shown("rpc_trouble_total", "Calls rejected before any program saw them or stuck, connections refused or timed out, and panics.", "kind")

	locksDesc     = shown("lockmgr_locks_count", "Byte ranges that are locked.")
	waitingDesc   = shown("lockmgr_waiting_count", "Requests that wait for a lock.")
	graceDesc     = shown("lockmgr_grace_seconds", "How long the grace period lasts yet at most; 0 when there is none.")
	nlmDesc       = shown("nlm_clients_count", "NLM clients that are watched.")
	callbacksDesc = shown("nlm_callbacks_total", "Calls to clients, about locks that they wait for, by result.", "result")
	notifiesDesc  = shown("nlm_notifications_total", "Clients told of a restart of the gateway, by result.", "result")
	releasesDesc  = shown("nlm_releases_total", "Times that all locks of a client were released.")

	repliesDesc      = shown("drc_entries_count", "Replies remembered for retransmissions.")
	replyBytesDesc   = shown("drc_bytes", "Bytes of these replies.")
	cacheHitsDesc    = shown("cache_hits_total", "Look-ups that a cache answered.", "cache")
	cacheMissesDesc  = shown("cache_misses_total", "Look-ups that a cache could not answer.", "cache")
	cacheEntriesDesc = shown("cache_entries_count", "Entries of a cache.", "cache")
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
	out := sink(ch)
	if c.src.Volumes != nil {
		for _, v := range c.src.Volumes(ctx) {
			out.volume(&v)
		}
	}
	if c.src.Clients != nil {
		out.gauge(clientsDesc, connected(c.src.Clients(ctx)))
	}
	if c.src.Traffic != nil {
		out.traffic(c.src.Traffic(ctx))
	}
	if c.src.Locking != nil {
		out.locking(c.src.Locking(ctx))
	}
	if c.src.Replies != nil {
		r := c.src.Replies(ctx)
		out.gauge(repliesDesc, r.Entries)
		out.gauge(replyBytesDesc, r.Bytes)
	}
	if c.src.Caches != nil {
		for _, k := range c.src.Caches(ctx) {
			out.count(cacheHitsDesc, k.Hits, k.Name)
			out.count(cacheMissesDesc, k.Misses, k.Name)
			out.gauge(cacheEntriesDesc, k.Entries, k.Name)
		}
	}
}

func connected(clients []Client) (n int) {
	for i := range clients {
		if clients[i].Connections > 0 {
			n++
		}
	}
	return n
}

// sink is where metrics go.
type sink chan<- prometheus.Metric

func (s sink) gauge(d *prometheus.Desc, n int, labels ...string) { s.value(d, float64(n), labels...) }

func (s sink) value(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) count(d *prometheus.Desc, n uint64, labels ...string) { s <- counter(d, n, labels...) }

func (s sink) volume(v *Volume) {
	if v.Error == "" {
		s.value(volumeBytesDesc, float64(v.Total), v.Name, "total")
		s.value(volumeBytesDesc, float64(v.Used), v.Name, "used")
		s.value(volumeBytesDesc, float64(v.Avail), v.Name, "available")
		s.value(volumeFilesDesc, float64(v.Files), v.Name)
	}
	s.count(volumeCallsDesc, v.Calls, v.Name)
	s.count(volumeInDesc, v.BytesIn, v.Name)
	s.count(volumeOutDesc, v.BytesOut, v.Name)
	st := &v.Storage
	s.gauge(descriptorsDesc, st.Descriptors, v.Name)
	s.gauge(dirtyDesc, st.Dirty, v.Name)
	s.count(evictionsDesc, st.Evictions, v.Name)
	s.count(syncsDesc, st.Syncs, v.Name)
	s.count(syncRequestsDesc, st.SyncRequests, v.Name)
	s.count(syncErrorsDesc, st.SyncErrors, v.Name)
	s.count(scansDesc, st.Scans, v.Name)
}

func (s sink) traffic(t Traffic) {
	s.gauge(connectionsDesc, t.Connections)
	s.gauge(inFlightDesc, t.InFlight)
	s.value(bufferDesc, float64(t.BufferBytes))
	s.count(datagramsDesc, t.Datagrams)
	for kind, n := range map[string]uint64{"rejected": t.Rejected, "refused": t.Refused, "timed_out": t.TimedOut, "stuck": t.Stuck, "panic": t.Panics} {
		s.count(troubleDesc, n, kind)
	}
}

func (s sink) locking(l Locking) {
	s.gauge(locksDesc, l.Held)
	s.gauge(waitingDesc, l.Waiting)
	s.value(graceDesc, l.GraceLeft)
	s.gauge(nlmDesc, l.Clients)
	s.count(callbacksDesc, l.Callbacks-min(l.Callbacks, l.CallbackFailures), "ok")
	s.count(callbacksDesc, l.CallbackFailures, "failed")
	s.count(notifiesDesc, l.Notified, "ok")
	s.count(notifiesDesc, l.NotifyFailures, "failed")
	s.count(releasesDesc, l.Released)
}
