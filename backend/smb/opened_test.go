package smb

import (
	"errors"
	"testing"

	"causeway"
)

func unbroken() *link { return &link{broken: make(chan struct{})} }

// TestWritesDuringSync: what was written while a sync ran is not stable by it, and is told of when its connection ends.
func TestWritesDuringSync(t *testing.T) {
	first, second := unbroken(), unbroken()
	none := func() error { return nil }
	o := &opened{}
	o.wrote(first)
	if err := o.settle(func() error { o.wrote(second); return nil }); err != nil || !o.unsynced() {
		t.Error(err, o.unsynced())
	}
	close(second.broken)
	if err := o.settle(none); causeway.CodeOf(err) != causeway.ErrIO {
		t.Error("nobody hears of a loss:", err)
	}
	if err := o.settle(none); err != nil || o.unsynced() {
		t.Error("a loss is told twice:", err)
	}
	o.wrote(second) // it was answered, and noted later than the connection ended
	if err := o.settle(none); causeway.CodeOf(err) != causeway.ErrIO {
		t.Error("nobody hears of a loss:", err)
	}
}

// TestSyncFails: what could not be made stable is not forgotten.
func TestSyncFails(t *testing.T) {
	l := unbroken()
	o := &opened{}
	o.wrote(l)
	if err := o.settle(func() error { return errors.New("failed") }); err == nil || !o.unsynced() {
		t.Error(err)
	}
	close(l.broken)
	for _, want := range []causeway.Code{causeway.ErrIO, causeway.OK} {
		if err := o.settle(func() error { return nil }); causeway.CodeOf(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
