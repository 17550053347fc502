package member

import (
	"fmt"
	"testing"

	"causeway"
	"causeway/cluster/ownership"
	"causeway/cluster/record"
)

// TestPlaceHeldDown: a node that came back gets its preferred volume, and its share, when it is not held down any more; what nobody owns it
// gets at once.
func TestPlaceHeldDown(t *testing.T) {
	in := ownership.Input{Owners: map[causeway.VolumeID]string{}, Settings: record.DefaultSettings(), HeldDown: map[string]bool{"b": true}}
	for _, name := range []string{"a", "b"} {
		in.Nodes = append(in.Nodes, &record.Node{Name: name, Weight: 1})
	}
	for id := causeway.VolumeID(1); id <= 4; id++ {
		in.Volumes = append(in.Volumes, &record.Volume{ID: id, Name: fmt.Sprint("v", uint64(id)), Weight: 1, CanMigrate: true, Domain: record.AllDomain})
		in.Owners[id] = "a"
	}
	in.Volumes[0].Preferred = "b"
	for id, node := range place(in) {
		if node != "a" {
			t.Errorf("%v goes to %s, which is held down", id, node)
		}
	}
	delete(in.Owners, 2)
	if node := place(in)[2]; node != "b" {
		t.Errorf("what nobody owns goes to %q", node)
	}
	in.Owners[2], in.HeldDown = "a", nil
	owners := place(in)
	if owners[1] != "b" {
		t.Errorf("the volume that prefers b goes to %s", owners[1])
	}
	count := map[string]int{}
	for _, node := range owners {
		count[node]++
	}
	if count["a"] != 2 || count["b"] != 2 {
		t.Errorf("%v", count)
	}
	in.Settings = &record.Settings{Budget: 1}
	moved := 0
	for id, node := range place(in) {
		if in.Owners[id] != node {
			moved++
		}
	}
	if moved != 1 {
		t.Errorf("%d volumes move, with a budget of one", moved)
	}
}
