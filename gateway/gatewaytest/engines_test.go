package gatewaytest_test

import (
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/transfer"
)

// holder breaks the circle between access, which recalls grants, and transfer, which asks for them.
type holder struct{ gateway.Holder }

// engines puts the local engines on a store for one test.
func engines(t testing.TB, s backend.Store, async bool) gatewaytest.Fixture {
	t.Helper()
	f := local(s, async)
	t.Cleanup(func() {
		if err := f.Transfer.(*transfer.Engine).Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// local puts the local engines on a store.
func local(s backend.Store, async bool) gatewaytest.Fixture {
	h := &holder{}
	a := access.New(access.Config{Holder: h})
	tr := transfer.New(transfer.Config{Grants: a, Guard: a})
	h.Holder = tr
	v := &causeway.Volume{ID: 42, Name: "v", Async: async}
	a.Attach(v, s)
	tr.Attach(v.ID, s)
	return gatewaytest.Fixture{Access: a, Transfer: tr, Volume: v.ID, Async: async}
}

func TestEnginesOnMem(t *testing.T) {
	for name, async := range map[string]bool{"sync": false, "async": true} {
		t.Run(name, func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				return engines(t, mem.New(mem.Config{Mode: 0o777}), async)
			})
		})
	}
}

func root(t *testing.T, f gatewaytest.Fixture) causeway.Handle {
	t.Helper()
	e, err := f.Access.Root(t.Context(), &gateway.Caller{}, f.Volume)
	if err != nil {
		t.Fatal(err)
	}
	return e.Handle
}
