package smb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/backend/posix"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/smb"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/security"
	"causeway/gateway/transfer"
)

// users are accounts by lower-case name.
type users map[string]auth.User

func (u users) Lookup(_ context.Context, name string) (auth.User, bool) {
	user, ok := u[strings.ToLower(name)]
	return user, ok
}

func account(name, password string, id uint32) auth.User {
	return auth.User{Name: name, NTHash: auth.NTHash(password), UID: id, GID: id}
}

// site is a server on an address of its own.
type site struct {
	*smb.Server
	addr   string
	access *access.Engine
	volume *causeway.Volume
}

// targets are the servers of every volume.
type targets []string

func (t targets) Referrals(*causeway.Volume, netip.Addr) (list []smb.Target) {
	for _, server := range t {
		list = append(list, smb.Target{Server: server})
	}
	return list
}

type holder struct{ gateway.Holder }

// serve starts a server of one volume, "vol", that lives in s.
func serve(t testing.TB, s backend.Store, l net.Listener, change func(*smb.Config)) *site {
	return serveAs(t, &causeway.Volume{ID: 7, Name: "vol", Mandatory: true}, s, l, change)
}

// serveAs is serve of a volume with settings of its own.
func serveAs(t testing.TB, v *causeway.Volume, s backend.Store, l net.Listener, change func(*smb.Config)) *site {
	h := &holder{}
	a := access.New(access.Config{Holder: h, Granted: security.Granted})
	tr := transfer.New(transfer.Config{Grants: a, Guard: a})
	h.Holder = tr
	a.Attach(v, s)
	tr.Attach(v.ID, s)
	var catalog gateway.Catalog
	if err := catalog.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	cfg := smb.Config{
		Access: a, Transfer: tr, Catalog: &catalog, Folding: names.Insensitive,
		Auth:   auth.Config{Users: users{"u": account("u", "p", 1000), "other": account("other", "o", 1001)}},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if change != nil {
		change(&cfg)
	}
	server, err := smb.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		if err := <-done; err != smb.ErrServerClosed {
			t.Error("serve:", err)
		}
		if err := errors.Join(tr.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if st := server.Stats(); st.Buffers != 0 || st.Conns != 0 || st.Sessions != 0 || st.Opens != 0 || st.Panics != 0 {
			t.Errorf("left behind: %+v", st)
		}
	})
	return &site{server, l.Addr().String(), a, v}
}

func listen(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newSite(t testing.TB, change func(*smb.Config)) *site {
	return serve(t, mem.New(mem.Config{Mode: 0o777}), listen(t), change)
}

// TestMain lets the test binary be a server for other programs: CAUSEWAY_SMB_LISTEN=address CAUSEWAY_SMB_DIR=directory (none:
// memory), until it is interrupted.
func TestMain(m *testing.M) {
	if os.Getenv("CAUSEWAY_SMB_LISTEN") == "" {
		os.Exit(m.Run())
	}
	os.Args = append(os.Args[:1], "-test.run=TestServer$", "-test.timeout=0")
	os.Exit(m.Run())
}

func TestServer(t *testing.T) {
	addr := os.Getenv("CAUSEWAY_SMB_LISTEN")
	if addr == "" {
		t.Skip("serves other programs")
	}
	var store backend.Store = mem.New(mem.Config{Mode: 0o777})
	if dir := os.Getenv("CAUSEWAY_SMB_DIR"); dir != "" {
		var err error
		if store, err = posix.Open(t.Context(), dir, posix.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, store, l, func(c *smb.Config) {
		c.Encrypt = os.Getenv("CAUSEWAY_SMB_ENCRYPT") != ""
		c.AllowUnsigned = os.Getenv("CAUSEWAY_SMB_UNSIGNED") != ""
		if list := os.Getenv("CAUSEWAY_SMB_TARGETS"); list != "" {
			c.Referrals = targets(strings.Fields(list))
		}
		if os.Getenv("CAUSEWAY_SMB_DEBUG") != "" {
			c.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
	})
	fmt.Println("serving", s.addr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
}
