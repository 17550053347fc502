package smb_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"causeway/gateway/smb"
	"causeway/gateway/smb/auth"
)

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestLogsShowNoSecrets logs on well and badly, with everything logged: neither the password nor its hash appears in any form.
func TestLogsShowNoSecrets(t *testing.T) {
	const password = "Korrekt-Pferd-7"
	log := &lockedBuffer{}
	s := newSite(t, func(c *smb.Config) {
		c.Auth = auth.Config{Users: users{"u": account("u", password, 1000)}}
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
	})
	works := dial(t, s, "u", password)
	if err := works.WriteFile("f", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := logOn(s, "u", password+"x"); err == nil {
		t.Fatal("a wrong password was taken")
	}
	if _, err := logOn(s, "nobody", password); err == nil {
		t.Fatal("an unknown user was taken")
	}
	text := log.String()
	if text == "" {
		t.Error("nothing was logged: the test shows nothing")
	}
	hash := auth.NTHash(password)
	for name, secret := range map[string]string{
		"password": password, "hash": string(hash[:]), "hash in hexadecimal": hex.EncodeToString(hash[:]),
		"hash in base 64": base64.StdEncoding.EncodeToString(hash[:]),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			t.Errorf("the log shows the %s: %s", name, text)
		}
	}
}
