package smb

import (
	"bytes"
	"log/slog"
	"net"
	"testing"
	"time"

	"causeway"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		text string
		want Config
	}{
		{"smb://ann@host/share", Config{Address: "host:445", Share: "share", User: "ann"}},
		{"smb://DOM;ann@host:4450/share/a/b/", Config{Address: "host:4450", Share: "share", Directory: "a/b", User: `DOM\ann`}},
		{"smb://ann@[::1]/share", Config{Address: "[::1]:445", Share: "share", User: "ann"}},
	} {
		got, err := ParseAddress(c.text)
		if err != nil || got.Address != c.want.Address || got.Share != c.want.Share || got.Directory != c.want.Directory || got.User != c.want.User {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
	for _, bad := range []string{"", "host/share", "http://ann@host/share", "smb://host/share", "smb://ann@host", "smb://ann@host/", "smb://ann:secret@host/share",
		"smb://ann@host/share/../x", "smb://ann@host/share?x=y"} {
		if got, err := ParseAddress(bad); err == nil {
			t.Errorf("%q was taken for %+v", bad, got)
		}
	}
}

// TestServerThatIsNotThere: whoever opens is told at once, later requests try again after a while only, and no log shows the password.
func TestServerThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	var log bytes.Buffer
	now := time.Unix(1, 0)
	cfg := Config{Address: addr, Share: "s", User: "u", Password: "secret word", Retry: time.Minute, Clock: func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := Open(t.Context(), cfg); err == nil {
		t.Fatal("opened")
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.Connections = 1
	sh := newShare(cfg)
	defer sh.close()
	attempts := func() int { return bytes.Count(log.Bytes(), []byte("no connection")) }
	for range 3 {
		if _, err := sh.Lstat("x"); causeway.CodeOf(err) != causeway.ErrDelay {
			t.Errorf("%v", err)
		}
	}
	if attempts() != 1 {
		t.Errorf("%d attempts", attempts())
	}
	now = now.Add(time.Hour)
	if _, err := sh.Lstat("x"); causeway.CodeOf(err) != causeway.ErrDelay || attempts() != 2 {
		t.Errorf("%v, %d attempts", err, attempts())
	}
	if bytes.Contains(log.Bytes(), []byte("secret")) {
		t.Error("the log shows the password")
	}
}
