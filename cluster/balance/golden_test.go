package balance

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// row is a line of a golden file: fields between bars.
type row []string

func (r row) number(t *testing.T, i int) int64 {
	n, err := strconv.ParseInt(r[i], 10, 64)
	if err != nil {
		t.Fatal(r, err)
	}
	return n
}

func (r row) node(t *testing.T) Node {
	return Node{Name: r[1], Weight: int(r.number(t, 2)), Groups: strings.Fields(r[3]), Domains: strings.Fields(r[4]), Active: r[5] == "active", Settled: true}
}

func (r row) volume(t *testing.T) Volume {
	return Volume{Name: r[1], Weight: int(r.number(t, 2)), Group: r[3], Domain: r[4], Preferred: r[5], CanMigrate: r[6] == "may migrate"}
}

func golden(t *testing.T, file string) []row {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []row
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := lines.Text(); line != "" && line[0] != '#' {
			r := strings.Split(line, "|")
			for i := range r {
				r[i] = strings.TrimSpace(r[i])
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// TestSteps compares owners, the order in which volumes came, remaining capacities, and the order of nodes after every step with the
// document's tables. Table 11 prints its nodes in the order of Table 10, before the sort with which step 1164 begins.
func TestSteps(t *testing.T) {
	var nodes []Node
	var volumes []Volume
	tables := map[string][]row{}
	after, checked := "", 0
	for _, r := range golden(t, "testdata/steps.txt") {
		switch r[0] {
		case "node":
			nodes = append(nodes, r.node(t))
		case "volume":
			volumes = append(volumes, r.volume(t))
		case "table":
			after = r[2]
		case "own":
			tables[after] = append(tables[after], r)
		}
	}
	s, err := newState(nodes, volumes)
	if err != nil {
		t.Fatal(err)
	}
	if s.scale != 16 || s.total != 151 {
		t.Fatalf("scale %d, total %d", s.scale, s.total)
	}
	s.steps(func(step string) {
		want := tables[step]
		if len(want) != len(s.nodes) {
			t.Fatalf("step %s: %d rows for %d nodes", step, len(want), len(s.nodes))
		}
		for i, r := range want {
			n := &s.nodes[s.numbers[r[1]]]
			if step != stepRest && s.nodes[s.order[i]].Name != r[1] {
				t.Errorf("step %s: place %d is %s's, want %s", step, i, s.nodes[s.order[i]].Name, r[1])
			}
			var got []string
			for _, v := range n.owned {
				got = append(got, s.volumes[v].Name)
			}
			if n.remaining != r.number(t, 2) || !slices.Equal(got, strings.Fields(r[3])) {
				t.Errorf("step %s: %s has %d %v, want %s %s", step, n.Name, n.remaining, got, r[2], r[3])
			}
			checked++
		}
	})
	if checked != 50 {
		t.Errorf("%d rows checked", checked)
	}
	unserved := []Unserved{{"e7", UnservedDomain}, {"g4", UnservedDomain}, {"m4", UnservedDomain}, {"m5", UnservedMigrate}}
	if got := s.plan().Unserved; !slices.Equal(got, unserved) {
		t.Errorf("unserved: %v", got)
	}
}

// TestGrowingCluster places the volumes of Tables 3 to 5 from scratch, and also from one table to the next.
func TestGrowingCluster(t *testing.T) {
	var nodes []Node
	var volumes []Volume
	owners, last := map[string]string{}, map[string]string{}
	finish := func() {
		for _, warm := range []bool{false, true} {
			compute, records := Cold, slices.Clone(volumes)
			if warm {
				compute = Warm
				for i := range records {
					records[i].Owner = last[records[i].Name]
				}
			}
			plan, err := compute(nodes, records, Settings{})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range owners {
				if got := plan.Owner(name); got != want {
					t.Errorf("%d nodes, warm %v: %s at %q, want %q", len(nodes), warm, name, got, want)
				}
			}
		}
	}
	tables := 0
	for _, r := range append(golden(t, "testdata/growing.txt"), row{"table"}) {
		switch r[0] {
		case "node":
			nodes = append(nodes, r.node(t))
		case "volume":
			volumes = append(volumes, r.volume(t))
		case "owner":
			owners[r[1]] = r[2]
		case "table":
			if len(owners) > 0 {
				finish()
				tables++
			}
			last, owners, nodes, volumes = owners, map[string]string{}, nil, nil
		}
	}
	if tables != 3 {
		t.Errorf("%d tables", tables)
	}
}
