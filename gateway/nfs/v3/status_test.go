package v3

import (
	"testing"

	"causeway"
)

// TestStatusOfAllCodes: every code has a status of RFC 1813, and is SERVERFAULT only on purpose.
func TestStatusOfAllCodes(t *testing.T) {
	faults := map[causeway.Code]bool{causeway.ErrServerFault: true, causeway.ErrBlocked: true, causeway.ErrDeadlock: true, causeway.ErrNoGrace: true, causeway.ErrNoLocks: true, causeway.ErrBadOpen: true}
	n := 0
	for code := causeway.OK; code.Error() != causeway.Code(255).Error(); code++ {
		n++
		st := statusOf(code)
		if statusNames[st] == "" {
			t.Errorf("%v: %d is no nfsstat3", code, st)
		}
		if (st == ok) != (code == causeway.OK) || (st == errServerFault) != faults[code] {
			t.Errorf("%v: %s", code, statusNames[st])
		}
	}
	if n < 40 {
		t.Error("codes:", n)
	}
}

func TestStatusIndex(t *testing.T) {
	seen := map[int]status{}
	for st := range statusNames {
		i := st.index()
		if other, twice := seen[i]; twice || i < 0 || i >= statuses {
			t.Errorf("%d and %d: %d", st, other, i)
		}
		seen[i] = st
	}
	if len(statusNames) != 28 {
		t.Error("RFC 1813 has 29 statuses, of which REMOTE is never sent; here are", len(statusNames))
	}
}
