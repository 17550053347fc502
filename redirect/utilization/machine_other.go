//go:build !linux

package utilization

// Machine returns a reading without the machine's counters: only calls count.
func Machine() Reading { return Reading{At: monotonic()} }
