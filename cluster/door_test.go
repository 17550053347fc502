package cluster

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestKnocking: who has no token is refused, and fills no logs by knocking.
func TestKnocking(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1e9, 0)
	c := &Cluster{cfg: Config{Now: func() time.Time { return now }}, log: slog.New(slog.NewTextHandler(&log, nil))}
	knock := func() {
		t.Helper()
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/join", strings.NewReader(`{"token":"longer than tokens are","node":"`+strings.Repeat("n", 60<<10)+`"}`))
		if c.admit(w, r); w.Code != http.StatusForbidden || w.Body.Len() > 200 {
			t.Fatal(w.Code, w.Body.Len())
		}
	}
	for range 1000 {
		knock()
	}
	if n := log.Len(); n == 0 || n > 1000 {
		t.Errorf("%d bytes are logged", n)
	}
	log.Reset()
	now = now.Add(tellAgain)
	knock()
	if !strings.Contains(log.String(), "others=999") {
		t.Error("it is not told how many there were:", log.String())
	}
}
