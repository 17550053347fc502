//go:build !unix

package billyfs

import (
	"os"

	"causeway"
)

func (s *Store) owner(os.FileInfo, *causeway.Attr) {}
