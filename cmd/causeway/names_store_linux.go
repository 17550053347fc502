package main

import "causeway/backend"

var (
	_ backend.Xattrs    = (*namesStore)(nil)
	_ backend.Forgetter = (*namesStore)(nil)
)
