package mem_test

import (
	"testing"

	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/mem"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, backendtest.Options{
		New:  func(t testing.TB) backend.Store { return mem.New(mem.Config{}) },
		Caps: backendtest.Full,
	})
}
