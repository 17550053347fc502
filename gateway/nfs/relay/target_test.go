package relay

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// TestTarget holds who answers what.
func TestTarget(t *testing.T) {
	s := newSite(t, patience)
	path := func(p string) []byte { e := xdr.Encoder{}; e.String(p); return e.Bytes() }
	handle := append([]byte{0, 0, 0, 60}, s.root()...)
	two := &gateway.Catalog{}
	s.must(two.Publish([]*causeway.Volume{s.volume, {ID: 9, Name: "w", Exports: s.volume.Exports}}))
	for _, c := range []struct {
		name       string
		prog, proc uint32
		args       []byte
		cat        *gateway.Catalog
		want       reach
	}{
		{"NULL", nfs, 0, nil, nil, here},
		{"READ", nfs, nfsRead, handle, nil, owner},
		{"READ of what is no handle of ours", nfs, nfsRead, []byte{0, 0, 0, 4, 1, 2, 3, 4}, nil, here},
		{"READ without arguments", nfs, nfsRead, nil, nil, here},
		{"MNT of a volume", mount, mountMnt, path("/v"), nil, owner},
		{"MNT below it", mount, mountMnt, path("//v/a/b/"), nil, owner},
		{"MNT of the only volume", mount, mountMnt, path("/"), nil, owner},
		{"MNT of one of two", mount, mountMnt, path("/"), two, here},
		{"MNT of nothing", mount, mountMnt, path("/x"), nil, here},
		{"MNT of too long a path", mount, mountMnt, path("/v/" + strings.Repeat("x", maxPath)), nil, here},
		{"UMNT", mount, mountUmnt, path("/v"), nil, owner},
		{"UMNTALL", mount, mountUmntAll, nil, nil, everyone},
		{"EXPORT", mount, 5, nil, nil, here},
		{"LOCK", nlm, nlmLock, lockArgs(nlmLock, s.root(), "host", 1), nil, owner},
		{"UNLOCK", nlm, nlmUnlock, lockArgs(nlmUnlock, s.root(), "host", 1), nil, owner},
		{"LOCK cut short", nlm, nlmLock, lockArgs(nlmLock, s.root(), "host", 1)[:40], nil, here},
		{"FREE_ALL", nlm, nlmFreeAll, nil, nil, everyone},
		{"GRANTED_RES", nlm, nlmGrantedRes, nil, nil, everyone},
		{"SM_NOTIFY", nsm, nsmNotify, nil, nil, everyone},
		{"SM_STAT", nsm, 1, nil, nil, here},
		{"another program", 100000, 1, handle, nil, here},
	} {
		if c.cat == nil {
			c.cat = s.g[0].catalog
		}
		call := &rpc.Call{Prog: c.prog, Vers: 3, Proc: c.proc, Args: xdr.NewDecoder(c.args), Remote: netip.MustParseAddrPort("127.0.0.1:9")}
		v, got := target(call, c.cat)
		if got != c.want || (v == s.volume.ID) != (got == owner) {
			t.Errorf("%s: %d of volume %v, want %d", c.name, got, v, c.want)
		}
	}
}

// TestConfig holds that what is missing or out of range is named.
func TestConfig(t *testing.T) {
	s := newSite(t, patience)
	g := s.g[0]
	peers := PeersConfig{Address: func(string) (string, bool) { return "", false }, TLS: g.identity.Client}
	server := ServerConfig{TLS: g.identity.Server(), Handlers: g.local, Catalog: g.catalog, Owns: g.owns}
	handler := Config{Local: g.local[Program{nfs, 3}], Catalog: g.catalog, Owner: g.ownerOf, Peers: g.peers}
	for name, validate := range map[string]func() error{
		"Address": func() error { c := peers; c.Address = nil; return c.Validate() }, "PeersConfig.TLS": func() error { c := peers; c.TLS = nil; return c.Validate() },
		"DialTimeout": func() error { c := peers; c.DialTimeout = -time.Second; return c.Validate() },
		"MaxBulk":     func() error { c := peers; c.MaxBulk = -1; return c.Validate() },
		"MaxFrame":    func() error { c := peers; c.MaxFrame = 1; return c.Validate() },
		"TLS":         func() error { c := server; c.TLS = nil; return c.Validate() },
		"Handlers":    func() error { c := server; c.Handlers = nil; return c.Validate() },
		"Owns":        func() error { c := server; c.Owns = nil; return c.Validate() },
		"MaxCalls":    func() error { c := server; c.MaxCalls = -1; return c.Validate() },
		"Local":       func() error { c := handler; c.Local = nil; return c.Validate() },
		"Catalog":     func() error { c := handler; c.Catalog = nil; return c.Validate() },
		"Owner":       func() error { c := handler; c.Owner = nil; return c.Validate() },
		"Wait":        func() error { c := handler; c.Wait = -1; return c.Validate() },
	} {
		field := name[strings.LastIndexByte(name, '.')+1:]
		if err := validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{"peers": peers.Validate(), "server": server.Validate(), "handler": handler.Validate()} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
