package utilization

import (
	"testing"
	"time"
)

func TestBetween(t *testing.T) {
	base := Reading{At: time.Second, CPUBusy: 100, CPUTotal: 1000, Calls: 10, CallTime: time.Second, MaxFlight: 200,
		Links: []Link{{"eth0", 1000, 2000, 1000}, {"lo", 5, 5, 0}}}
	for name, c := range map[string]struct {
		change func(*Reading)
		want   Parts
	}{
		"nothing happened":     {func(*Reading) {}, Parts{}},
		"half of the time":     {func(r *Reading) { r.CPUBusy, r.CPUTotal = 150, 1100 }, Parts{CPU: 50}},
		"counters were reset":  {func(r *Reading) { r.CPUBusy, r.CPUTotal, r.Calls, r.CallTime = 1, 2, 3, 4 }, Parts{}},
		"the busier direction": {func(r *Reading) { r.At += 2 * time.Second; r.Links = []Link{{"eth0", 1500, 3000, 1000}} }, Parts{Network: 50}},
		"more than the speed":  {func(r *Reading) { r.At += time.Second; r.Links = []Link{{"eth0", 9000, 2000, 1000}} }, Parts{Network: 100}},
		"speed not known":      {func(r *Reading) { r.At += time.Second; r.Links = []Link{{"lo", 9000, 2000, 0}} }, Parts{}},
		"new link":             {func(r *Reading) { r.At += time.Second; r.Links = []Link{{"eth1", 9000, 2000, 1000}} }, Parts{}},
		"slots":                {func(r *Reading) { r.InFlight = 50 }, Parts{Slots: 25}},
		"slow storage":         {func(r *Reading) { r.Calls += 4; r.CallTime += 40 * time.Millisecond }, Parts{Storage: 20}},
		"very slow storage":    {func(r *Reading) { r.Calls++; r.CallTime += time.Minute }, Parts{Storage: 100}},
	} {
		next := base
		c.change(&next)
		s, err := NewSampler(Config{}, base)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(next); got != c.want {
			t.Errorf("%s: %+v, not %+v", name, got, c.want)
		}
	}
	p := Parts{10, 20, 70, 5}
	if p.Figure() != 70 || p.Map()["network"] != 20 {
		t.Errorf("%d of %v", p.Figure(), p.Map())
	}
	if _, err := NewSampler(Config{Latency: -1}, base); err == nil {
		t.Error("a negative latency is taken")
	}
}
