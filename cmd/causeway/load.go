package main

import (
	"causeway/gateway/nfs/rpc"
	"causeway/redirect/utilization"
)

// reading is what the load of this gateway is measured by.
func (n *node) reading() utilization.Reading {
	r := utilization.Machine()
	if n.config.SharedCPU {
		r.CPUBusy, r.CPUTotal = 0, 0
	}
	if speed := uint64(n.config.LinkSpeed); speed > 0 {
		for i := range r.Links {
			if r.Links[i].Name != "lo" {
				r.Links[i].BytesInSecond = speed * 1e6 / 8
			}
		}
	}
	r.Calls, r.CallTime = n.metrics.Calls()
	var limits rpc.Config
	if n.up.Load() && limits.Validate() == nil {
		r.InFlight, r.MaxFlight = n.rpc.Stats().InFlight, limits.MaxCalls
	}
	return r
}
