package record

import (
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	if err := DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
	if got := new(Table).Settings().HoldDown; got != DefaultHoldDown {
		t.Errorf("without a record: %v", got)
	}
	for _, c := range []struct {
		said string
		s    Settings
	}{
		{"hold_down", Settings{HoldDown: -1}},
		{"hold_down", Settings{HoldDown: Duration(25 * time.Hour)}},
		{"budget", Settings{Budget: -1}},
		{"schedules", Settings{Schedules: make([]Schedule, 17)}},
		{"schedule", Settings{Schedules: []Schedule{{Cron: "61 * * * *"}}}},
		{"minute", Settings{Schedules: []Schedule{{Cron: "@every 1s"}}}},
		{"characters", Settings{Schedules: []Schedule{{Cron: strings.Repeat("1,", 150) + "1 * * * *"}}}},
	} {
		if err := c.s.Validate(); err == nil || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	for cron, want := range map[string]time.Time{
		"30 2 * * *": time.Date(2026, 3, 2, 2, 30, 0, 0, time.UTC), "@hourly": time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC),
		"0 0 1 4 *": time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), "@every 90m": at.Add(90 * time.Minute),
	} {
		if got, err := (&Schedule{Cron: cron}).Next(at); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", cron, got, err)
		}
	}
}

// TestSettingsKeepUnknown: a field of a schedule that a newer version wrote survives.
func TestSettingsKeepUnknown(t *testing.T) {
	key := Sole(KindSettings)
	r, err := Decode(key, []byte(`{"format":1,"hold_down":"5s","schedules":[{"cron":"@daily","since":"2026-01-01T00:00:00Z","later":7}],"more":true}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"later":7`, `"more":true`, `"hold_down":"5s"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is lost in %s", want, data)
		}
	}
}
