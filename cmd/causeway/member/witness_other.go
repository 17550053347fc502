//go:build !linux

package member

import "os"

// forgetPages does nothing on this system.
func forgetPages(*os.File) {}
