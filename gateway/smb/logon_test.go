package smb_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudsoda/go-smb2"

	"causeway/gateway/smb"
)

// written is a log.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// logOnFrom tries a password from a local address.
func logOnFrom(ctx context.Context, s *site, from, user, password string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	ses, err := (&smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: user, Password: password}}).DialConn(ctx, c, s.addr)
	if err != nil {
		return err
	}
	return ses.Logoff()
}

// TestGuessing: who guesses a password is refused before it is looked at, and logged; its user is not kept from another address.
func TestGuessing(t *testing.T) {
	var log written
	began := time.Now()
	s := newSite(t, func(c *smb.Config) {
		c.Now = func() time.Time { return began }
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The client tells this status in words alone.
	refused := func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "already accepted the maximum number")
	}
	for i := range 8 {
		if err := logOnFrom(ctx, s, "127.0.0.1", "u", "wrong"); err == nil || refused(err) {
			t.Fatal(i, err)
		}
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	answers := make(chan error, 3)
	for range cap(answers) { // all but one of them are too many to wait
		go func() { answers <- logOnFrom(waiting, s, "127.0.0.1", "u", "p") }()
	}
	for range cap(answers) - 1 {
		if err := <-answers; !refused(err) {
			t.Error("looked at:", err)
		}
	}
	for who, err := range map[string]error{
		"the user elsewhere": logOnFrom(ctx, s, "127.0.0.2", "u", "p"), "somebody else there": logOnFrom(ctx, s, "127.0.0.1", "other", "o"),
	} {
		if err != nil {
			t.Error(who, err)
		}
	}
	stop()
	if err := <-answers; err == nil {
		t.Error("did not wait")
	}
	text := log.String()
	for _, part := range []string{"client=127.0.0.1", "user=u", `err="wrong password"`, `err="too many wrong passwords before"`} {
		if !strings.Contains(text, part) {
			t.Errorf("the log does not tell %s:\n%s", part, text)
		}
	}
}
