package gatewaytest

import "unsafe"

// borrow makes a string of a buffer that will be overwritten, as fronts do.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
