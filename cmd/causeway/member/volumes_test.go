package member

import "testing"

func TestPreferredIsKnown(t *testing.T) {
	table := tableOf(map[string]uint64{"a": 1, "b": 0})
	for node, want := range map[string]bool{"": true, "a": true, "b": true, "c": false} {
		if err := (&VolumeOrder{Preferred: &node}).known(table); (err == nil) != want {
			t.Errorf("%q: %v", node, err)
		}
	}
	if err := (&VolumeOrder{}).known(table); err != nil {
		t.Error(err)
	}
}
