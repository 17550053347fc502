package main

import (
	"net/netip"
	"strings"
	"testing"

	"causeway"
	"causeway/cmd/causeway/config"
)

func TestMountCommands(t *testing.T) {
	lan := netip.MustParsePrefix("192.168.7.5/24")
	for _, c := range []struct {
		listen  string
		portmap bool
		lan     netip.Prefix
		linux   string
		macOS   string
	}{
		{"127.0.0.1:2049", false, lan, "sudo mount -t nfs -o vers=3,proto=tcp,port=2049,mountport=2049,mountproto=tcp,nolock 127.0.0.1:/data /mnt",
			"sudo mount_nfs -o vers=3,tcp,resvport,port=2049,mountport=2049,locallocks 127.0.0.1:/data /private/mnt"},
		{"10.0.0.1:2049", true, lan, "sudo mount -t nfs -o vers=3,proto=tcp 10.0.0.1:/data /mnt",
			"sudo mount_nfs -o vers=3,tcp,resvport 10.0.0.1:/data /private/mnt"},
		{"0.0.0.0:2049", true, lan, "sudo mount -t nfs -o vers=3,proto=tcp 192.168.7.5:/data /mnt",
			"sudo mount_nfs -o vers=3,tcp,resvport 192.168.7.5:/data /private/mnt"},
		{"0.0.0.0:2049", true, netip.Prefix{}, "sudo mount -t nfs -o vers=3,proto=tcp 127.0.0.1:/data /mnt",
			"sudo mount_nfs -o vers=3,tcp,resvport 127.0.0.1:/data /private/mnt"},
		{"[::1]:12049", false, lan, "sudo mount -t nfs -o vers=3,proto=tcp6,port=12049,mountport=12049,mountproto=tcp6,nolock [::1]:/data /mnt",
			"sudo mount_nfs -o vers=3,tcp6,resvport,port=12049,mountport=12049,locallocks [::1]:/data /private/mnt"},
	} {
		p := &place{addr: netip.MustParseAddrPort(c.listen), portmap: c.portmap, lan: c.lan}
		if got := p.linux("data"); got != c.linux {
			t.Errorf("%+v:\n%s\n%s", c, got, c.linux)
		}
		if got := p.macOS("data"); got != c.macOS {
			t.Errorf("%+v:\n%s\n%s", c, got, c.macOS)
		}
	}
}

// TestOpening holds that the options which are printed can be given, and let the network and loopback in.
func TestOpening(t *testing.T) {
	for _, lan := range []netip.Prefix{{}, netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("2001:db8::5/64")} {
		p := &place{addr: netip.MustParseAddrPort("127.0.0.1:2049"), lan: lan}
		args := strings.Fields(strings.Join(p.opening(config.Default().Allow), " "))
		c := newServe()
		if err := c.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		allow, _ := c.Flags().GetStringArray("allow")
		v := causeway.Volume{}
		for _, rule := range allow {
			r, err := config.ParseRule(rule)
			if err != nil {
				t.Fatal(err)
			}
			v.Exports = append(v.Exports, r)
		}
		if r := v.Rule(netip.MustParseAddr("127.0.0.1")); r == nil || r.ReadOnly {
			t.Errorf("%v: loopback is shut out", args)
		}
		if r := v.Rule(lan.Addr()); lan.IsValid() && (r == nil || !r.Secure) {
			t.Errorf("%v: %v has %+v", args, lan, r)
		}
	}
}

// TestAnnounceAware: programs with the library are told where to dial, if it is answered there.
func TestAnnounceAware(t *testing.T) {
	v := &causeway.Volume{Name: "data"}
	for port, want := range map[uint16]bool{0: false, 9450: true} {
		out := &strings.Builder{}
		announce(out, &place{addr: netip.MustParseAddrPort("127.0.0.1:2049"), aware: port}, []*causeway.Volume{v}, nil)
		if text := out.String(); strings.Contains(text, `client.Dial(ctx, client.Config{}, "127.0.0.1:9450"), and of that Volume(ctx, "data")`) != want {
			t.Error(text)
		}
	}
}

func TestAnnounceToANetwork(t *testing.T) {
	out := &strings.Builder{}
	v := &causeway.Volume{Name: "data", Async: true, ReadOnly: true}
	announce(out, &place{addr: netip.MustParseAddrPort("0.0.0.0:2049")}, []*causeway.Volume{v}, nil)
	if text := out.String(); strings.Contains(text, "To let a network in") || !strings.Contains(text, "(async, read-only), for nobody") {
		t.Error(text)
	}
}
