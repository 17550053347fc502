package address

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway"
)

type noListener struct{ err error }

func (l noListener) Listen(netip.Addr) error { return l.err }

func (l noListener) Close(netip.Addr) error { return nil }

func TestConfig(t *testing.T) {
	l := noListener{}
	for _, test := range []struct {
		field string
		cfg   Config
	}{
		{"Listener", Config{}},
		{"Lifetime", Config{Listener: l, Lifetime: 1500 * time.Millisecond}},
		{"Lifetime", Config{Listener: l, Lifetime: -time.Second}},
		{"Lifetime", Config{Listener: l, Lifetime: 2 * time.Minute}},
		{"Renew", Config{Listener: l, Renew: 1100 * time.Millisecond}},
		{"Renew", Config{Listener: l, Renew: -1}},
		{"Probe", Config{Listener: l, Probe: time.Minute}},
	} {
		if _, err := New(test.cfg); err == nil || !strings.Contains(err.Error(), "Config."+test.field+":") {
			t.Errorf("%s: %v", test.field, err)
		}
	}
	cfg := Config{Listener: l}
	if err := cfg.Validate(); err != nil || cfg.Lifetime != 2*time.Second || cfg.Renew != 700*time.Millisecond || !cfg.Entitled(golden4) {
		t.Error(cfg, err)
	}
	for _, tickler := range []Tickler{{Rate: -1}, {Rate: 1 << 30}, {Rounds: -1}, {Rounds: 21}, {Pause: -1}, {Pause: time.Hour}} {
		if tickler.Validate() == nil {
			t.Errorf("%+v is taken", tickler)
		}
	}
}

func TestRefusedAddresses(t *testing.T) {
	m, err := New(Config{Listener: noListener{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1", "::ffff:127.0.0.1"} {
		if err := m.Hold(t.Context(), netip.MustParseAddr(s)); !errors.Is(err, causeway.ErrInval) || !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := m.Hold(t.Context(), netip.Addr{}); !errors.Is(err, causeway.ErrInval) {
		t.Error(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestListenOnly: loopback addresses, whose listener may fail, and a Manager that was closed.
func TestListenOnly(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.9")
	broken := &noListener{err: causeway.ErrBusy}
	var events []Event
	m, err := New(Config{Listener: broken, Notify: func(e Event) { events = append(events, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Hold(t.Context(), loopback); !errors.Is(err, causeway.ErrBusy) || len(m.Held()) != 0 {
		t.Error(err, m.Held())
	}
	broken.err = nil
	if err := m.Hold(t.Context(), loopback); err != nil || m.Held()[loopback] != Listening {
		t.Error(err, m.Held())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	h := m.holdings[loopback]
	_ = h.begin(t.Context())
	if err := m.Drop(gone, loopback); !errors.Is(err, causeway.ErrDelay) {
		t.Error("did not give up waiting for its turn:", err)
	}
	h.end()
	if err := m.Close(t.Context()); err != nil || len(m.Held()) != 0 {
		t.Error(err, m.Held())
	}
	if err := m.Hold(t.Context(), loopback); !errors.Is(err, causeway.ErrClosed) {
		t.Error(err)
	}
	if len(events) != 2 || events[0].Kind != Taken || events[0].State != Listening || events[1].Kind != Dropped {
		t.Error(events)
	}
}
