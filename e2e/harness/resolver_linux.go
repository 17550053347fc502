package harness

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Resolver is a DNS server by others, for the clients of a network.
type Resolver struct {
	*daemon
	Host *Host
}

const bindConfig = `options {
	directory "%[1]s"; pid-file none; session-keyfile none; managed-keys-directory "%[1]s";
	listen-on port 53 { %[2]v; 127.0.0.1; }; listen-on-v6 { none; };
	recursion yes; allow-recursion { any; }; dnssec-validation no; notify no;
};
controls { };
zone "%[3]s" { type primary; file "%[1]s/zone"; };
`

// StartBIND starts BIND 9 with a zone of its own, of which zone is the text, that also resolves for the network: it follows the delegations in
// its zone.
func StartBIND(t testing.TB, host *Host, name, zone string) *Resolver {
	t.Helper()
	RequireProgram(t, "named", "bind9")
	dir := t.TempDir()
	r := &Resolver{Host: host, daemon: newDaemon(t, host, "named", program("named"), "-g", "-4", "-c", filepath.Join(dir, "named.conf"))}
	write(t, filepath.Join(dir, "zone"), zone)
	write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(bindConfig, dir, host.Address, name))
	r.begin(name)
	return r
}

// StartUnbound starts unbound, which asks the given servers for a zone. Where it names its clients to servers (EDNS Client Subnet), it
// names their whole address.
func StartUnbound(t testing.TB, host *Host, zone string, servers []netip.Addr, names bool) *Resolver {
	t.Helper()
	RequireProgram(t, "unbound", "unbound")
	lines := []string{"server:", "directory: " + t.TempDir(), `chroot: ""`, `username: ""`, `pidfile: ""`, "use-syslog: no", "do-daemonize: no",
		"interface: " + host.Address.String(), "interface: 127.0.0.1", "access-control: 10.99.0.0/24 allow", "do-ip6: no", "num-threads: 1",
		"local-zone: test. nodefault"}
	if names {
		lines = append(lines, `module-config: "subnetcache iterator"`, "max-client-subnet-ipv4: 32", "client-subnet-always-forward: yes")
		for _, s := range servers {
			lines = append(lines, "send-client-subnet: "+s.String())
		}
	} else {
		lines = append(lines, `module-config: "iterator"`)
	}
	lines = append(lines, "remote-control:", "control-enable: no", "stub-zone:", "name: "+zone)
	for _, s := range servers {
		lines = append(lines, "stub-addr: "+s.String())
	}
	file := filepath.Join(t.TempDir(), "unbound.conf")
	write(t, file, strings.Join(lines, "\n")+"\n")
	r := &Resolver{Host: host, daemon: newDaemon(t, host, "unbound", program("unbound"), "-d", "-c", file)}
	r.begin(zone)
	return r
}

// begin starts the server and waits until it answers.
func (r *Resolver) begin(name string) {
	r.t.Helper()
	RequireProgram(r.t, "dig", "bind9-dnsutils")
	r.start()
	r.await(func() error {
		got, err := r.Host.Run(r.t.Context(), "dig", "@127.0.0.1", "+time=1", "+tries=1", name, "SOA")
		if err == nil && got.Status != 0 {
			err = errors.New(got.Stdout)
		}
		return err
	})
}

// Dig runs dig(1) on a host and returns what it prints.
func (h *Host) Dig(words ...string) string {
	h.t.Helper()
	RequireProgram(h.t, "dig", "bind9-dnsutils")
	return h.MustRun(append([]string{"dig", "+time=5", "+tries=2"}, words...)...)
}

// program is the path of a program that is there.
func program(name string) string {
	path, err := LookPath(name)
	if err != nil {
		return name
	}
	return path
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
