//go:build !unix

package rpc

import "errors"

func preadFD(int, []byte, int64) (int, error) { return 0, errors.ErrUnsupported }
