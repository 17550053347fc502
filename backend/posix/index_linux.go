package posix

import (
	"context"

	"causeway"
)

func (s *Store) openIndex(context.Context) error {
	return &causeway.Error{Op: "posix open", Code: causeway.ErrNotSupp}
}
