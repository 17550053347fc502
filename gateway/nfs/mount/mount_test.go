package mount_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	xdrmount "github.com/buildbarn/go-xdr/pkg/protocols/mount"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

const (
	mnt uint32 = iota + 1
	dump
	umnt
	umntAll
	exports
)

const (
	insider  = "10.0.0.1:700"
	outsider = "192.0.2.1:700"
)

type site struct {
	testing.TB
	server  *mount.Server
	catalog *gateway.Catalog
	names   *access.Engine
	volumes []*causeway.Volume
	stores  []*mem.Store
}

// newSite serves volumes of these names to 10/8, and those whose names begin with "open" to everyone.
func newSite(t testing.TB, cfg mount.Config, names ...string) *site {
	t.Helper()
	s := &site{TB: t, catalog: &gateway.Catalog{}, names: access.New(access.Config{})}
	for i, name := range names {
		v := &causeway.Volume{
			ID: causeway.VolumeID(i + 1), Name: name, Keys: []causeway.HandleKey{{ID: 1}},
			Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), AnonUID: causeway.Nobody, AnonGID: causeway.Nobody}},
		}
		if strings.HasPrefix(name, "open") {
			v.Exports = append(v.Exports, causeway.ExportRule{Prefix: netip.MustParsePrefix("0.0.0.0/0")})
		}
		store := mem.New(mem.Config{Mode: 0o755})
		t.Cleanup(func() { store.Close() })
		s.names.Attach(v, store)
		s.volumes, s.stores = append(s.volumes, v), append(s.stores, store)
	}
	if err := s.catalog.Publish(s.volumes); err != nil {
		t.Fatal(err)
	}
	cfg.Guard, cfg.Access = &export.Guard{Catalog: s.catalog}, s.names
	var err error
	if s.server, err = mount.New(cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) call(from string, proc uint32, args []byte, change ...func(*rpc.Call)) []byte {
	s.Helper()
	for _, noWait := range []bool{true, false} {
		c := &rpc.Call{Prog: mount.Program, Vers: mount.Version3, Proc: proc, Flavor: rpc.AuthSys, Remote: netip.MustParseAddrPort(from), NoWait: noWait, Args: xdr.NewDecoder(args)}
		for _, f := range change {
			f(c)
		}
		switch verdict := s.server.Handle(context.Background(), c); verdict {
		case rpc.Done:
			return c.Reply.Bytes()
		case rpc.Park:
		default:
			s.Fatalf("proc %d: verdict %d", proc, verdict)
		}
	}
	s.Fatal("parked twice")
	return nil
}

func path(p string) []byte {
	var e xdr.Encoder
	e.String(p)
	return e.Bytes()
}

func (s *site) mnt(from, p string) xdrmount.Mountres3 {
	s.Helper()
	result := s.call(from, mnt, path(p))
	r, n, err := xdrmount.ReadMountres3(bytes.NewReader(result))
	if err != nil || n != int64(len(result)) {
		s.Fatalf("%x: %d %v", result, n, err)
	}
	return r
}

func (s *site) mkdir(volume int, names ...string) causeway.ObjectID {
	s.Helper()
	dir := causeway.Handle{Volume: s.volumes[volume].ID, Object: s.stores[volume].Root()}
	spec := gateway.CreateSpec{Type: causeway.TypeDirectory, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o755}}
	for _, name := range names {
		made, _, err := s.names.Create(context.Background(), &gateway.Caller{}, dir, name, &spec)
		if err != nil {
			s.Fatal(err)
		}
		dir = made.Handle
	}
	return dir.Object
}

func TestMount(t *testing.T) {
	s := newSite(t, mount.Config{}, "a", "open")
	inner := s.mkdir(0, "sub", "inner")
	for p, want := range map[string]causeway.ObjectID{
		"/a": s.stores[0].Root(), "/a/": s.stores[0].Root(), "//a": s.stores[0].Root(),
		"/a/sub/inner": inner, "/a//sub/./inner/": inner, "/a/..": s.stores[0].Root(), "/a/../../sub/inner": inner,
	} {
		got, is := s.mnt(insider, p).(*xdrmount.Mountres3_MNT3_OK)
		if !is || !bytes.Equal(got.Mountinfo.Fhandle, fh.Append(nil, s.volumes[0], want)) || fmt.Sprint(got.Mountinfo.AuthFlavors) != "[1 0]" {
			t.Errorf("%s: %+v", p, got)
		}
	}
	for _, test := range []struct {
		from, path string
		want       xdrmount.Mountstat3
	}{
		{outsider, "/a", xdrmount.MNT3ERR_ACCES},
		{outsider, "/none", xdrmount.MNT3ERR_ACCES},
		{outsider, "/open", xdrmount.MNT3_OK},
		{outsider, "/", xdrmount.MNT3_OK},
		{insider, "/", xdrmount.MNT3ERR_ACCES},
		{insider, "/none", xdrmount.MNT3ERR_ACCES},
		{insider, "", xdrmount.MNT3ERR_ACCES},
		{insider, "a", xdrmount.MNT3ERR_ACCES},
		{insider, "/a/none", xdrmount.MNT3ERR_NOENT},
		{insider, "/a/" + strings.Repeat("n", 300), xdrmount.MNT3ERR_NAMETOOLONG},
		{insider, "/a/x\x00y", xdrmount.MNT3ERR_INVAL},
	} {
		if got := s.mnt(test.from, test.path).GetFhsStatus(); got != test.want {
			t.Errorf("%s from %s: %d, want %d", test.path, test.from, got, test.want)
		}
	}
}

// TestMountDeep: a path is walked with the squashed caller's rights, and only to a directory.
func TestMountDeep(t *testing.T) {
	s := newSite(t, mount.Config{}, "a")
	id := s.mkdir(0, "private", "inner")
	private := causeway.Handle{Volume: 1, Object: s.stores[0].Root()}
	found, _, err := s.names.Lookup(context.Background(), &gateway.Caller{}, private, "private")
	if err != nil {
		t.Fatal(err)
	}
	set := &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o700}
	if _, err := s.names.SetAttr(context.Background(), &gateway.Caller{}, found.Handle, set, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.mnt(insider, "/a/private/inner").GetFhsStatus(); got != xdrmount.MNT3ERR_ACCES {
		t.Error(got, id)
	}
	if got := s.mnt(insider, "/a/private").GetFhsStatus(); got != xdrmount.MNT3_OK {
		t.Error(got)
	}
	file := gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded}
	if _, _, err := s.names.Create(context.Background(), &gateway.Caller{}, private, "file", &file); err != nil {
		t.Fatal(err)
	}
	if got := s.mnt(insider, "/a/file").GetFhsStatus(); got != xdrmount.MNT3ERR_NOTDIR {
		t.Error(got)
	}
}

func list[L any](t *testing.T, result []byte, read func(io.Reader) (L, int64, error)) L {
	t.Helper()
	l, n, err := read(bytes.NewReader(result))
	if err != nil || n != int64(len(result)) {
		t.Fatalf("%x: %d %v", result, n, err)
	}
	return l
}

func TestRecords(t *testing.T) {
	s := newSite(t, mount.Config{MaxRecords: 3}, "a", "b", "c", "open")
	for _, p := range []string{"/a", "/b", "/b/", "/c"} {
		s.mnt(insider, p)
	}
	s.mnt("10.0.0.2:1", "/open")
	dumped := func(from string) (l []string) {
		for m := list(t, s.call(from, dump, nil), xdrmount.ReadMountlist); m != nil; m = m.MlNext {
			l = append(l, m.MlHostname+":"+m.MlDirectory)
		}
		return l
	}
	if got := fmt.Sprint(dumped(insider)); got != "[10.0.0.1:/b 10.0.0.1:/c 10.0.0.2:/open]" {
		t.Error(got)
	}
	s.call(insider, umnt, path("/b"))
	s.call(insider, umnt, path("/open"))
	if got := fmt.Sprint(s.server.Mounts()); got != "[{10.0.0.1 /c} {10.0.0.2 /open}]" {
		t.Error(got)
	}
	s.call("10.0.0.2:9", umntAll, nil)
	if got := fmt.Sprint(dumped(outsider)); got != "[10.0.0.1:/c]" {
		t.Error(got)
	}
	closed := newSite(t, mount.Config{}, "a")
	closed.mnt(insider, "/a")
	if got := closed.call(outsider, dump, nil); !bytes.Equal(got, make([]byte, 4)) {
		t.Errorf("an outsider learns who mounts here: %x", got)
	}
}

func TestExports(t *testing.T) {
	s := newSite(t, mount.Config{}, "a", "open")
	listed := func(from string, change ...func(*rpc.Call)) (l []string) {
		for e := list(t, s.call(from, exports, nil, change...), xdrmount.ReadExports); e != nil; e = e.ExNext {
			line := e.ExDir
			for g := e.ExGroups; g != nil; g = g.GrNext {
				line += " " + g.GrName
			}
			l = append(l, line)
		}
		return l
	}
	if got := fmt.Sprint(listed(insider)); got != "[/a 10.0.0.0/8 /open 10.0.0.0/8 0.0.0.0/0]" {
		t.Error(got)
	}
	if got := fmt.Sprint(listed(outsider)); got != "[/open 10.0.0.0/8 0.0.0.0/0]" {
		t.Error(got)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("volume", i))
	}
	s = newSite(t, mount.Config{}, many...)
	if got := len(listed(insider)); got != 1000 {
		t.Error(got)
	}
	datagram := func(c *rpc.Call) { c.Datagram = true }
	if got := len(listed(insider, datagram)); got < 10 {
		t.Error("datagram:", got)
	}
	if got := len(s.call(insider, exports, nil, datagram)); got > 1<<10 {
		t.Errorf("a forged question of 70 bytes is answered to its victim by %d", got)
	}
}

func TestVersion1(t *testing.T) {
	s := newSite(t, mount.Config{}, "a")
	old := func(c *rpc.Call) { c.Vers = mount.Version1 }
	result := s.call(insider, mnt, path("/a"), old)
	if r, n, err := xdrmount.ReadFhstatus(bytes.NewReader(result)); err != nil || n != int64(len(result)) || r.GetStatus() == 0 {
		t.Error(r, n, err)
	}
	if got := list(t, s.call(insider, exports, nil, old), xdrmount.ReadExports); got == nil || got.ExDir != "/a" {
		t.Error(got)
	}
	if got := s.call(insider, umnt, path("/a"), old); len(got) != 0 {
		t.Error(got)
	}
}

func TestValidate(t *testing.T) {
	for _, cfg := range []mount.Config{{}, {Guard: &export.Guard{}}, {Guard: &export.Guard{Catalog: &gateway.Catalog{}}}} {
		if _, err := mount.New(cfg); err == nil {
			t.Errorf("%+v passed", cfg)
		}
	}
}

func FuzzCall(f *testing.F) {
	s := newSite(f, mount.Config{}, "a")
	s.mkdir(0, "sub")
	f.Add(mnt, uint32(3), path("/a/sub"))
	f.Add(umnt, uint32(1), path("/a"))
	f.Add(exports, uint32(3), []byte{})
	f.Add(uint32(9), uint32(3), []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, proc, vers uint32, args []byte) {
		c := &rpc.Call{Prog: mount.Program, Vers: vers, Proc: proc, Remote: netip.MustParseAddrPort(insider), Args: xdr.NewDecoder(args)}
		verdict := s.server.Handle(context.Background(), c)
		if verdict != rpc.Done && len(c.Reply.Bytes()) != 0 || len(c.Reply.Bytes())%4 != 0 {
			t.Fatalf("verdict %d, reply %x", verdict, c.Reply.Bytes())
		}
		if verdict == rpc.Done && proc == mnt && vers == 3 {
			if _, n, err := xdrmount.ReadMountres3(bytes.NewReader(c.Reply.Bytes())); err != nil || n != int64(len(c.Reply.Bytes())) {
				t.Fatalf("%x: %v", c.Reply.Bytes(), err)
			}
		}
	})
}
