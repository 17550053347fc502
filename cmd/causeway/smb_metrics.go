package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/admin"
	"causeway/gateway/smb"
	"causeway/gateway/smb/wire"
)

// smbMetrics shows Prometheus what is done over SMB.
type smbMetrics struct{ stats func() smb.Stats }

var (
	smbConnsDesc    = prometheus.NewDesc("causeway_smb_connections_count", "Connections of SMB clients.", nil, nil)
	smbSessionsDesc = prometheus.NewDesc("causeway_smb_sessions_count", "Sessions of SMB users, by what must protect their requests.", []string{"protection"}, nil)
	smbOpensDesc    = prometheus.NewDesc("causeway_smb_opens_count", "Files, directories and pipes that are open over SMB.", nil, nil)
	smbCreditsDesc  = prometheus.NewDesc("causeway_smb_credits_count", "Requests that SMB clients may send before the next answer.", nil, nil)
	smbCommandsDesc = prometheus.NewDesc("causeway_smb_commands_total", "Commands of SMB clients, by whether they failed.", []string{"command", "result"}, nil)
	smbInDesc       = prometheus.NewDesc("causeway_smb_in_bytes_total", "Bytes from SMB clients.", nil, nil)
	smbOutDesc      = prometheus.NewDesc("causeway_smb_out_bytes_total", "Bytes to SMB clients.", nil, nil)
	smbBuffersDesc  = prometheus.NewDesc("causeway_smb_buffer_bytes", "Memory of SMB requests and replies.", nil, nil)
	smbTroubleDesc  = prometheus.NewDesc("causeway_smb_trouble_total", "What went wrong with SMB clients.", []string{"kind"}, nil)
)

// Describe names them.
func (m smbMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{smbConnsDesc, smbSessionsDesc, smbOpensDesc, smbCreditsDesc, smbCommandsDesc, smbInDesc, smbOutDesc, smbBuffersDesc, smbTroubleDesc} {
		to <- d
	}
}

// Collect reads the server's counters.
func (m smbMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.stats()
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge(smbConnsDesc, float64(s.Conns))
	gauge(smbSessionsDesc, float64(s.Signed), "signed")
	gauge(smbSessionsDesc, float64(s.Encrypted), "encrypted")
	gauge(smbSessionsDesc, float64(s.Sessions-s.Signed-s.Encrypted), "none")
	gauge(smbOpensDesc, float64(s.Opens))
	gauge(smbCreditsDesc, float64(s.Credits))
	gauge(smbBuffersDesc, float64(s.Buffers))
	for c := range wire.Commands {
		count(smbCommandsDesc, s.Commands[c]-s.Failures[c], c.String(), "done")
		count(smbCommandsDesc, s.Failures[c], c.String(), "failed")
	}
	count(smbInDesc, s.BytesIn)
	count(smbOutDesc, s.BytesOut)
	count(smbTroubleDesc, s.Refused, "refused")
	count(smbTroubleDesc, s.LogonFailures, "logon")
	count(smbTroubleDesc, s.Panics, "panic")
}

// showSMB is what status says of SMB; nil where it is not served.
func (n *node) showSMB(context.Context) *admin.SMB {
	if !n.up.Load() || n.smb.server == nil {
		return nil
	}
	s := n.smb.server.Stats()
	out := &admin.SMB{Connections: s.Conns, Sessions: s.Sessions, Signed: s.Signed, Encrypted: s.Encrypted, Opens: s.Opens, Credits: s.Credits,
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, BufferBytes: s.Buffers, Refused: s.Refused, LogonFailures: s.LogonFailures, Panics: s.Panics,
		Commands: map[string]admin.SMBCommand{}}
	for c := range wire.Commands {
		if s.Commands[c] > 0 {
			out.Commands[c.String()] = admin.SMBCommand{Calls: s.Commands[c], Failures: s.Failures[c]}
		}
	}
	return out
}
