package admin

import (
	"math/bits"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Program names a version of an RPC program and its procedures, the labels of its metrics. What is not named is counted as
// "other".
type Program struct {
	Number, Version uint32
	Name            string
	Procedures      []string // by number
}

// Metrics counts calls. Observe costs some ten nanoseconds and allocates nothing: counters are plain atomics, found by
// number, and become Prometheus metrics only when they are scraped.
type Metrics struct {
	registry *prometheus.Registry
	verdicts []string
	statuses []string
	codes    map[uint32]int // status code → index into statuses; small codes are in index
	index    [128]int16
	programs []*program
	other    *procedure
}

type program struct {
	Program
	procedures []*procedure
}

// buckets of latency: the first holds what took less than 2^firstBucket ns (about a microsecond), each following one twice as
// much, the last what took longer than about 8.6 s.
const (
	firstBucket = 10
	buckets     = 25
)

// procedure counts the calls of one procedure, in shards.
type procedure struct {
	program, version, name string
	shards                 [shards]counters
}

// shards keep goroutines on different processors from writing to the same cache lines: with four of them on one set of
// counters a call costs twenty times as much.
const shards = 8

// counters are what is counted of a procedure. They end in a cache line of nothing, so that neighbours do not touch.
type counters struct {
	verdicts [maxVerdicts]atomic.Uint64
	statuses [maxStatuses]atomic.Uint64
	latency  [buckets]atomic.Uint64
	nanos    atomic.Uint64
	in, out  atomic.Uint64
	_        [64]byte
}

// Bounds of the closed sets, "other" included.
const (
	maxVerdicts = 12
	maxStatuses = 48
)

// here picks the shard of the calling goroutine: by where its stack lies, the only thing at hand that differs between
// goroutines and stays with each.
func (p *procedure) here() *counters {
	var onStack byte
	return &p.shards[uintptr(unsafe.Pointer(&onStack))>>12%shards]
}

// MetricsConfig names what is counted: all of it closed sets.
type MetricsConfig struct {
	Programs []Program
	Verdicts []string          // what the RPC layer made of a call, by number
	Statuses map[uint32]string // what the program answered
}

// NewMetrics returns metrics with a registry of their own, which also shows the Go runtime and the process. It panics if the
// sets of verdicts and statuses are larger than it has room for: they are constants of the program.
func NewMetrics(cfg MetricsConfig) *Metrics {
	if len(cfg.Verdicts) >= maxVerdicts || len(cfg.Statuses) >= maxStatuses {
		panic("admin: too many verdicts or statuses")
	}
	m := &Metrics{registry: prometheus.NewRegistry(), verdicts: append(slices.Clone(cfg.Verdicts), "other"), codes: map[uint32]int{}}
	for code, name := range cfg.Statuses {
		m.codes[code] = len(m.statuses)
		m.statuses = append(m.statuses, name)
	}
	m.statuses = append(m.statuses, "other")
	for i := range m.index {
		m.index[i] = int16(m.status(uint32(i)))
	}
	for _, p := range cfg.Programs {
		of := &program{Program: p}
		for _, name := range p.Procedures {
			of.procedures = append(of.procedures, m.procedure(p.Name, p.Version, name))
		}
		m.programs = append(m.programs, of)
	}
	m.other = m.procedure("other", 0, "other")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), (*callCollector)(m))
	return m
}

func (m *Metrics) procedure(program string, version uint32, name string) *procedure {
	return &procedure{program: program, version: strconv.FormatUint(uint64(version), 10), name: name}
}

// Registry returns the registry, for metrics of other rooms.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

func (m *Metrics) status(code uint32) int {
	if i, ok := m.codes[code]; ok {
		return i
	}
	return len(m.statuses) - 1
}

// Observe counts a call that was answered (or dropped) after d, with the bytes of its record and of its reply.
func (m *Metrics) Observe(prog, vers, proc uint32, verdict uint8, d time.Duration, in, out int) {
	p := m.find(prog, vers, proc).here()
	p.verdicts[min(int(verdict), len(m.verdicts)-1)].Add(1)
	p.nanos.Add(uint64(max(d, 0)))
	p.latency[bucket(d)].Add(1)
	p.in.Add(uint64(in))
	p.out.Add(uint64(out))
}

// Answered counts the status that a program's reply carries.
func (m *Metrics) Answered(prog, vers, proc, status uint32) {
	p := m.find(prog, vers, proc).here()
	if status < uint32(len(m.index)) {
		p.statuses[m.index[status]].Add(1)
	} else {
		p.statuses[m.status(status)].Add(1)
	}
}

// find returns the counters of a procedure. There are a handful of programs, so a scan is cheaper than a map.
func (m *Metrics) find(prog, vers, proc uint32) *procedure {
	for _, p := range m.programs {
		if p.Number == prog && p.Version == vers && proc < uint32(len(p.procedures)) {
			return p.procedures[proc]
		}
	}
	return m.other
}

func bucket(d time.Duration) int {
	return min(max(bits.Len64(uint64(max(d, 0)))-firstBucket, 0), buckets-1)
}

// Calls returns how many calls were answered, and the time that they took together.
func (m *Metrics) Calls() (calls uint64, took time.Duration) {
	m.each(func(p *procedure) {
		s := p.sum()
		calls += s.calls
		took += time.Duration(s.nanos)
	})
	return calls, took
}

// total is the sum over all calls.
type total struct{ calls, in, out uint64 }

func (m *Metrics) totals() (t total) {
	m.each(func(p *procedure) {
		c := p.sum()
		t.calls += c.calls
		t.in += c.in
		t.out += c.out
	})
	return t
}

// sum is a copy of the counters of a procedure, over all shards.
type sum struct {
	verdicts [maxVerdicts]uint64
	statuses [maxStatuses]uint64
	latency  [buckets]uint64
	nanos    uint64
	calls    uint64
	in, out  uint64
}

func (p *procedure) sum() (s sum) {
	for i := range p.shards {
		c := &p.shards[i]
		add(s.verdicts[:], c.verdicts[:])
		add(s.statuses[:], c.statuses[:])
		add(s.latency[:], c.latency[:])
		s.nanos += c.nanos.Load()
		s.in += c.in.Load()
		s.out += c.out.Load()
	}
	for _, n := range s.verdicts {
		s.calls += n
	}
	return s
}

func add(to []uint64, from []atomic.Uint64) {
	for i := range from {
		to[i] += from[i].Load()
	}
}

func (m *Metrics) each(f func(*procedure)) {
	for _, p := range m.programs {
		for _, q := range p.procedures {
			f(q)
		}
	}
	f(m.other)
}
