package member

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"causeway/cluster/record"
)

// cluster makes a table of nodes, of which those with an incarnation run.
func tableOf(incarnations map[string]uint64) *record.Table {
	t := &record.Table{}
	var changes []record.Change
	for name, incarnation := range incarnations {
		key := record.Named(record.KindNode, name)
		changes = append(changes, record.Change{Key: key, Item: &record.Item{Key: key, Value: &record.Node{Name: name}}})
		if incarnation != 0 {
			key := record.Named(record.KindMember, name)
			m := &record.Member{Node: name, Instance: strings.Repeat(name, 32), Incarnation: incarnation}
			changes = append(changes, record.Change{Key: key, Item: &record.Item{Key: key, Value: m}})
		}
	}
	key := record.Sole(record.KindCluster)
	changes = append(changes, record.Change{Key: key, Item: &record.Item{Key: key, Value: &record.Cluster{ID: "test", Incarnation: 1}}})
	t.Apply(1, changes)
	return t
}

// TestWitness tells the directory that owners write to from copies of it.
func TestWitness(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".causeway"), 0o700); err != nil {
		t.Fatal(err)
	}
	shows := func(name string, incarnation uint64, owned bool) bool {
		t.Helper()
		w, err := readWitness(dir)
		if err != nil {
			t.Fatal(err)
		}
		return w.shows(&record.Member{Node: name, Instance: strings.Repeat(name, 32), Incarnation: incarnation}, owned)
	}
	if !shows("a", 1, false) || shows("a", 1, true) {
		t.Error("without a file a volume is new, unless somebody owned it")
	}
	if err := vouch(dir, tableOf(map[string]uint64{"a": 1, "b": 2, "c": 3})); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what        string
		name        string
		incarnation uint64
		owned, want bool
	}{
		{"a gateway that was written", "b", 2, true, true},
		{"the same after a restart, which an owner must have seen", "b", 9, true, false},
		{"the same when nobody could see it", "b", 9, false, true},
		{"a gateway that nobody saw", "d", 4, true, false},
		{"a gateway that nobody saw, and nobody could", "d", 4, false, false},
	} {
		if got := shows(c.name, c.incarnation, c.owned); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if err := vouch(dir, tableOf(map[string]uint64{"a": 11, "b": 0})); err != nil { // b is down, c was removed
		t.Fatal(err)
	}
	if !shows("a", 11, true) || !shows("b", 2, true) || shows("c", 3, false) {
		t.Error("who is down stays, who was removed goes")
	}
	if st, err := os.Stat(filepath.Join(dir, witnessFile)); err != nil || st.Size()%witnessBlock != 0 {
		t.Error(st, err)
	}
	many := map[string]uint64{}
	for i := range 200 {
		many[string(rune('A'+i%26))+string(rune('a'+i/26))] = uint64(i + 1)
	}
	if err := vouch(dir, tableOf(many)); err != nil {
		t.Fatal(err)
	}
	if err := vouch(dir, tableOf(map[string]uint64{"a": 5})); err != nil { // shorter than what was there
		t.Fatal(err)
	}
	if !shows("a", 5, true) {
		t.Error("a shorter file is read")
	}
}

// TestWitnessHalfWritten: a gateway that ended in the middle does not keep all of them from serving the volume.
func TestWitnessHalfWritten(t *testing.T) {
	dir, self := t.TempDir(), &record.Member{Node: "a", Instance: strings.Repeat("a", 32), Incarnation: 5}
	if err := os.Mkdir(filepath.Join(dir, ".causeway"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, witnessFile)
	if err := vouch(dir, tableOf(map[string]uint64{"a": 5})); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what               string
		text               string
		owned, early, late bool
	}{
		{"it has not cut off the rest of a longer one", string(whole) + `"incarnation":7}}}`, true, true, true},
		{"it has written half", string(whole[:40]), false, false, true},
		{"it has made the file", "", false, false, true},
		{"another gateway writes", string(whole[:40]), true, false, false},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := readWitness(dir)
		if early, late := suffices(w, err, self, c.owned, false), suffices(w, err, self, c.owned, true); early != c.early || late != c.late {
			t.Errorf("%s: %v at first, %v later: %v", c.what, early, late, err)
		}
	}
}

// TestWitnessOfAnEarlierLife: who restored the configuration database starts with none of the gateways that are written there.
func TestWitnessOfAnEarlierLife(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".causeway"), 0o700); err != nil {
		t.Fatal(err)
	}
	restored := tableOf(map[string]uint64{"b": 2})
	key := record.Sole(record.KindCluster)
	restored.Apply(2, []record.Change{{Key: key, Item: &record.Item{Key: key, Value: &record.Cluster{Incarnation: 7}}}})
	self, _ := restored.Member("b")
	shows := func(owned bool) bool {
		t.Helper()
		w, err := readWitness(dir)
		if err != nil {
			t.Fatal(err)
		}
		return w.of(lifeOf(restored)).shows(self, owned)
	}
	if err := vouch(dir, tableOf(map[string]uint64{"a": 1})); err != nil {
		t.Fatal(err)
	}
	if !shows(false) || shows(true) {
		t.Error("the first owner after the restoration must not need a proof, the next one must")
	}
	if err := vouch(dir, restored); err != nil {
		t.Fatal(err)
	}
	if w, err := readWitness(dir); err != nil || len(w.Gateways) != 1 || !shows(true) {
		t.Errorf("%+v, %v", w, err)
	}
}

// TestWitnessFollowsNothing: who owns the root of a volume cannot have another file of the machine overwritten, or a gateway wait.
func TestWitnessFollowsNothing(t *testing.T) {
	precious := filepath.Join(t.TempDir(), "gateways.json")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, plant := range map[string]func(dir string) error{
		"a link in place of the file": func(dir string) error { return os.Symlink(precious, filepath.Join(dir, witnessFile)) },
		"another name of a file":      func(dir string) error { return os.Link(precious, filepath.Join(dir, witnessFile)) },
		"a pipe":                      func(dir string) error { return unix.Mkfifo(filepath.Join(dir, witnessFile), 0o600) },
		"a link in place of the directory": func(dir string) error {
			place := filepath.Dir(filepath.Join(dir, witnessFile))
			return errors.Join(os.Remove(place), os.Symlink(filepath.Dir(precious), place))
		},
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, ".causeway"), 0o700), plant(dir)); err != nil {
			t.Fatal(err)
		}
		if err := vouch(dir, tableOf(map[string]uint64{"a": 1})); err == nil {
			t.Errorf("%s was written", what)
		}
		if _, err := readWitness(dir); err == nil {
			t.Errorf("%s was read", what)
		}
		if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
			t.Fatalf("%s led to another file: %q, %v", what, text, err)
		}
	}
}
