package main

import (
	"causeway/gateway/nfs/rpc"
	"causeway/redirect/utilization"
)

// reading is what the load of this gateway is measured by.
func (n *node) reading() utilization.Reading {
	r := utilization.Machine()
	r.Calls, r.CallTime = n.metrics.Calls()
	var limits rpc.Config
	if n.up.Load() && limits.Validate() == nil {
		r.InFlight, r.MaxFlight = n.rpc.Stats().InFlight, limits.MaxCalls
	}
	return r
}
