package rpc

import "testing"

// TestPlaceRefusedToWhoDoesNotWait: the watchdog, and a call whose reply could be held, are refused a place while the reader waits
// for one: the reader is still woken.
func TestPlaceRefusedToWhoDoesNotWait(t *testing.T) {
	s, err := NewServer(Config{MaxCallsPerConn: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{srv: s, client: &client{}}
	c.client.calls.max = 10
	if !c.takeSlot(nil) || c.takeSlot(c) || c.takeSlot(nil) {
		t.Fatal("one place is not what there is")
	}
	if !c.wantSlot {
		t.Error("nobody wakes the reader")
	}
}
