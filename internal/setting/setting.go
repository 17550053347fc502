// Package setting holds what the Validate methods of configurations have in common. It knows numbers and times, no meanings: bounds
// that belong to one field are checked where the field is.
package setting

import (
	"fmt"
	"time"
)

// Positive gives a field that is zero its default, and refuses what is negative. The name, as in "nlm: MaxClients", leads the error.
func Positive[T int | time.Duration](name string, field *T, fallback T) error {
	if *field < 0 {
		return fmt.Errorf("%s must not be negative: %v", name, *field)
	}
	if *field == 0 {
		*field = fallback
	}
	return nil
}
