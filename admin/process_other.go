//go:build !linux

package admin

import "runtime"

// usage fills in what Go's runtime knows; the rest stays zero.
func (p *Process) usage() {
	m := runtime.MemStats{}
	runtime.ReadMemStats(&m)
	p.Memory = m.Sys
}
