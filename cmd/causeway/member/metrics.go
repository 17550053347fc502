package member

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/cluster"
	"causeway/cluster/record"
)

// Metrics shows the cluster as this gateway sees it, to Prometheus.
type Metrics struct {
	m      *Member // nil: only described
	pauses prometheus.Histogram
	events *prometheus.CounterVec
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("causeway_cluster_"+name, help, labels, nil)
}

var (
	validDesc     = gauge("member_count", "1 while this gateway is a member and may serve, 0 while it is cut off.")
	masterDesc    = gauge("master_count", "1 while this gateway places volumes.")
	leaseDesc     = gauge("lease_margin_seconds", "How long this gateway may go on without an answer of the configuration database.")
	nodesDesc     = gauge("nodes_count", "Nodes, by state.", "state")
	volumesDesc   = gauge("volumes_count", "Volumes, by state.", "state")
	ownedDesc     = gauge("owned_volumes_count", "Volumes that this gateway administers.")
	addressesDesc = gauge("addresses_count", "Service addresses at which this gateway answers: its own, and those of others.", "home")
	serversDesc   = gauge("database_servers_count", "Servers of the configuration database that vote, and those of them that answer.", "state")
	revisionDesc  = gauge("database_revision_count", "Changes of the configuration database that this gateway has seen.")
	usedDesc      = gauge("utilization_percent", "What this gateway reported of itself last.", "part")
	pathsDesc     = gauge("storage_paths_count", "Volumes whose storage this gateway has lost, and objects with writes of which nobody knows whether another gateway did them.", "state")
	aroundDesc    = prometheus.NewDesc("causeway_cluster_storage_calls_total", "Reads, writes and syncs after a failure of this gateway's path to the storage, or without one: by which path they were answered.", []string{"path"}, nil)
	probesDesc    = prometheus.NewDesc("causeway_cluster_storage_events_total", "Probes of paths to the storage that failed something, and what they found.", []string{"event"}, nil)

	memberDescs = []*prometheus.Desc{validDesc, masterDesc, leaseDesc, nodesDesc, volumesDesc, ownedDesc, addressesDesc, serversDesc, revisionDesc, usedDesc, pathsDesc, aroundDesc, probesDesc}
)

// happenings are the events that are counted: the label values.
var happenings = []string{"joined", "left", "died", "dropped", "moved", "served", "refused", "master"}

// NewMetrics returns metrics of a member; of none, they are only described.
func NewMetrics() *Metrics {
	x := &Metrics{
		pauses: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "causeway_cluster_pause_seconds",
			Help: "How long volumes were paused at this gateway.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "causeway_cluster_events_total",
			Help: "What happened to the cluster while this gateway ran."}, []string{"event"}),
	}
	for _, name := range happenings {
		x.events.WithLabelValues(name)
	}
	return x
}

// observe counts what the cluster did.
func (x *Metrics) observe(o cluster.Observation) {
	if o.What == "paused" {
		x.pauses.Observe(o.Took.Seconds())
	}
}

// Describe sends what there is.
func (x *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range memberDescs {
		to <- d
	}
	x.pauses.Describe(to)
	x.events.Describe(to)
}

// scrapeWithin bounds how long the database's servers are asked.
const scrapeWithin = 2 * time.Second

// Collect sends the figures of now.
func (x *Metrics) Collect(to chan<- prometheus.Metric) {
	x.pauses.Collect(to)
	x.events.Collect(to)
	if x.m == nil || x.m.Cluster() == nil {
		return
	}
	c := x.m.Cluster()
	t, self := c.Table(), x.m.cfg.Cluster.Node
	put := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	put(validDesc, one(c.Valid()))
	put(masterDesc, one(c.Leads()))
	put(leaseDesc, c.LeaseLeft().Seconds())
	put(revisionDesc, float64(t.Revision()))
	nodes := map[string]int{"active": 0, "draining": 0, "down": 0}
	for item := range t.All(record.KindNode) {
		if m, _ := t.Member(item.Key.Name); m == nil {
			nodes["down"]++
		} else {
			nodes[string(item.Value.(*record.Node).State)]++
		}
	}
	for state, n := range nodes {
		put(nodesDesc, float64(n), state)
	}
	volumes, owned := map[string]int{"served": 0, "waiting": 0, "unplaced": 0}, 0
	for item := range t.All(record.KindVolume) {
		owner, _ := t.Owner(item.Key.Volume)
		switch {
		case owner != nil && owner.Serving:
			volumes["served"]++
		case t.Assigned(item.Key.Volume) != "":
			volumes["waiting"]++
		default:
			volumes["unplaced"]++
		}
		if owner != nil && owner.Node == self {
			owned++
		}
	}
	for state, n := range volumes {
		put(volumesDesc, float64(n), state)
	}
	put(ownedDesc, float64(owned))
	x.addresses(put, t, self)
	x.storage(put, to)
	x.database(put, c)
	if item := t.Get(record.Named(record.KindLoad, self)); item != nil {
		for part, v := range item.Value.(*record.Load).Parts {
			put(usedDesc, float64(v), part)
		}
	}
}

func (x *Metrics) addresses(put func(*prometheus.Desc, float64, ...string), t *record.Table, self string) {
	homes := map[string]int{"own": 0, "other": 0}
	for _, a := range assigned(t) {
		if a.At == self && a.Home == self {
			homes["own"]++
		} else if a.At == self {
			homes["other"]++
		}
	}
	for home, n := range homes {
		put(addressesDesc, float64(n), home)
	}
}

func (x *Metrics) storage(put func(*prometheus.Desc, float64, ...string), to chan<- prometheus.Metric) {
	s := x.m.split.Paths()
	put(pathsDesc, float64(s.Dead), "dead")
	put(pathsDesc, float64(s.Unsettled), "unsettled")
	count := func(d *prometheus.Desc, n uint64, label string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
	}
	count(aroundDesc, s.Here, "own")
	count(aroundDesc, s.Away, "other")
	count(aroundDesc, s.Failed, "none")
	count(probesDesc, s.Probes, "probed")
	count(probesDesc, s.Died, "died")
	count(probesDesc, s.Back, "back")
}

func (x *Metrics) database(put func(*prometheus.Desc, float64, ...string), c *cluster.Cluster) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	votes, answers := 0, 0
	for _, s := range c.Database(ctx).Servers {
		if s.Votes {
			votes++
			answers += int(one(s.Answers))
		}
	}
	put(serversDesc, float64(votes), "voting")
	put(serversDesc, float64(answers), "answering")
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
