//go:build !unix

package relay

import "errors"

func pread(int, []byte, int64) (int, error) { return 0, errors.ErrUnsupported }
