package redirect_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/redirect"
)

func TestPaths(t *testing.T) {
	var p redirect.Paths
	at := func(want string) {
		t.Helper()
		if got, ok := p.Current("v"); got.Gateway != want || ok != (want != "") {
			t.Fatalf("at %q, not %q", got.Gateway, want)
		}
	}
	at("")
	for _, g := range []string{"a", "b", "c"} {
		p.Add("v", g, noon)
	}
	at("a")
	if !p.Redirect("v", "c", noon.Add(1*time.Second)) || p.Redirect("v", "x", noon) {
		t.Fatal("redirects")
	}
	at("c")
	p.RedirectAnywhere("v", noon.Add(2*time.Second)) // b: it was never used
	at("b")
	p.RedirectAnywhere("v", noon.Add(3*time.Second)) // a: before c
	at("a")
	p.RedirectAnywhere("v", noon.Add(4*time.Second))
	at("c")
	p.Fail("c", noon.Add(5*time.Second)) // the oldest
	at("a")
	p.Fail("a", noon.Add(5*time.Second))
	at("b")
	if p.Redirect("v", "c", noon) {
		t.Error("to a failed path")
	}
	if due := p.Probes(noon.Add(5200 * time.Millisecond)); len(due) != 0 {
		t.Error("too early:", due)
	}
	if due := p.Probes(noon.Add(6 * time.Second)); len(due) != 2 {
		t.Error(due)
	}
	p.Alive("a", noon.Add(6*time.Second))
	at("b") // which is left only when it fails
	p.Fail("b", noon.Add(7*time.Second))
	at("a")
	p.Remove("v", "a")
	at("")
}

// TestPathsProperties: a path in use is valid; there is one as long as any is valid; a failed path is taken again only after Alive.
func TestPathsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p redirect.Paths
		valid, now := map[string]bool{}, noon
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "ms")) * time.Millisecond)
			g := name.Draw(t, "gateway")
			_, known := valid[g]
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				p.Add("v", g, now)
				if !known {
					valid[g] = true
				}
			case 1:
				p.Fail(g, now)
				if known {
					valid[g] = false
				}
			case 2:
				p.Alive(g, now)
				if known {
					valid[g] = true
				}
			case 3:
				if p.Redirect("v", g, now) != valid[g] {
					t.Fatal("redirected to a path that is not valid, or not to one that is")
				}
			case 4:
				before, had := p.Current("v")
				if to, ok := p.RedirectAnywhere("v", now); ok && had && to.Gateway == before.Gateway {
					t.Fatal("sent to where it was")
				}
			case 5:
				p.Remove("v", g)
				delete(valid, g)
			}
			any := false
			for _, ok := range valid {
				any = any || ok
			}
			if c, ok := p.Current("v"); ok != any || ok && !valid[c.Gateway] {
				t.Fatalf("current %v, %v of %v", c, ok, valid)
			}
		}
	})
}

// TestPlanProperties: whatever the records are, nobody is moved to where he may not be, nor to a busier gateway, nor more than the budget.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := redirect.State{Now: noon, Volumes: map[string]redirect.Volume{"v": {Name: "v", Domain: "d"}, "w": {Name: "w"}}}
		by := map[string]redirect.Node{}
		for i := range rapid.IntRange(1, 8).Draw(t, "nodes") {
			n := redirect.Node{
				Name: string(rune('a' + i)), Utilization: rapid.Float64Range(0, 100).Draw(t, "u"), Threshold: rapid.Float64Range(0, 100).Draw(t, "t"),
				Interval: time.Minute, Draining: rapid.IntRange(0, 5).Draw(t, "drains") == 0, Closed: rapid.IntRange(0, 5).Draw(t, "closed") == 0, Capacity: rapid.Float64Range(0.1, 4).Draw(t, "c"),
			}
			if rapid.Bool().Draw(t, "in d") {
				n.Domains = []string{"d"}
			}
			s.Nodes, by[n.Name] = append(s.Nodes, n), n
		}
		for i := range rapid.IntRange(0, 20).Draw(t, "uses") {
			s.Uses = append(s.Uses, redirect.Use{
				Client: string(rune('A' + i)), Volume: rapid.SampledFrom([]string{"v", "w"}).Draw(t, "volume"),
				Load: rapid.Float64Range(0, 30).Draw(t, "load"), Means: redirect.Aware,
			})
		}
		p, err := redirect.NewPlanner("a", redirect.Config{Budget: 3, Average: rapid.Bool().Draw(t, "average")})
		if err != nil {
			t.Fatal(err)
		}
		moves := p.Plan(s)
		if len(moves) > 3 {
			t.Fatal("over budget")
		}
		for _, m := range moves {
			to := by[m.To]
			if to.Draining || to.Closed || m.To == "a" || m.Volume == "v" && len(to.Domains) == 0 {
				t.Fatalf("%+v", m)
			}
			if !by["a"].Draining && to.Utilization >= by["a"].Utilization {
				t.Fatalf("to a busier gateway: %+v", m)
			}
		}
	})
}
