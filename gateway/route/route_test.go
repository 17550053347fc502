package route

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
)

const vol = causeway.VolumeID(3)

func newTable(t *testing.T, valid *atomic.Bool) *Table {
	t.Helper()
	table, err := New(Config{Valid: valid.Load})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestStanding(t *testing.T) {
	var valid atomic.Bool
	table, e := newTable(t, &valid), causeway.Epoch{Incarnation: 1, Revision: 9}
	if s := table.Now(vol); s != (Standing{}) || table.Valid() {
		t.Error(s)
	}
	changed := table.Changed()
	table.Open(vol, true, "g1", e)
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	if s, pass := table.Enter(vol); s != (Standing{Open: true, Here: true, Node: "g1", Epoch: e}) {
		t.Error(s)
	} else {
		pass.Leave()
	}
	table.Open(vol+1, false, "g2", e)
	table.CloseAll()
	if table.Now(vol).Open || !table.Now(vol+1).Open {
		t.Error("all that is answered here is closed, and nothing else")
	}
	table.Open(vol, false, "g2", e)
	table.Close(vol)
	if table.Now(vol).Open {
		t.Error("open")
	}
}

// TestDrain waits for those who were inside, and not for who comes later.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var valid atomic.Bool
		table := newTable(t, &valid)
		table.Open(vol, true, "g1", causeway.Epoch{})
		_, call := table.Enter(vol)
		held := table.Pass(vol)
		table.Close(vol)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := table.Drain(short, vol); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		drained := make(chan error, 1)
		go func() { drained <- table.Drain(t.Context(), vol) }()
		synctest.Wait()
		call.Leave()
		time.Sleep(time.Second)
		select {
		case <-drained:
			t.Fatal("a reply that is held was not waited for")
		default:
		}
		held.Leave()
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("Valid is needed")
	}
}
