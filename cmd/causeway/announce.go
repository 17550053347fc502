package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"causeway"
	"causeway/cmd/causeway/config"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/nlm"
)

// place is where a gateway can be mounted from.
type place struct {
	addr    netip.AddrPort // that NFS listens on
	portmap bool
	aware   uint16       // port of programs with the library; 0: none
	nolock  bool         // port 111 leads to another server of NLM
	lan     netip.Prefix // a network of this machine, with the machine's address in it; invalid if there is none
}

// place says how clients reach the gateway.
func (n *node) place() *place {
	return &place{
		addr: n.address(), aware: n.config.Aware, lan: findLAN(), nolock: n.lacking[nlm.Program],
		portmap: n.portmap != "" && !n.lacking[nfsProgram] && !n.lacking[mount.Program],
	}
}

// server is the address to write in front of the export.
func (p *place) server() string {
	a := p.addr.Addr()
	if a.IsUnspecified() && p.lan.IsValid() {
		a = p.lan.Addr()
	} else if a.IsUnspecified() {
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if a.Unmap().Is6() {
		return "[" + a.String() + "]"
	}
	return a.Unmap().String()
}

// tcp is the name of the transport in mount options.
func (p *place) tcp() string {
	if strings.HasPrefix(p.server(), "[") {
		return "tcp6"
	}
	return "tcp"
}

// linux is the command that mounts a volume on Linux. Without portmap the client must be told the ports, and has nobody to
// send its locks to.
func (p *place) linux(volume string) string {
	options := "vers=3,proto=" + p.tcp()
	if !p.portmap {
		options += fmt.Sprintf(",port=%d,mountport=%d,mountproto=%s,nolock", p.addr.Port(), p.addr.Port(), p.tcp())
	} else if p.nolock {
		options += ",nolock"
	}
	return fmt.Sprintf("sudo mount -t nfs -o %s %s:/%s /mnt", options, p.server(), volume)
}

// macOS is the command for macOS, which sends from a privileged port only when it is told to.
func (p *place) macOS(volume string) string {
	options := "vers=3," + p.tcp() + ",resvport"
	if !p.portmap {
		options += fmt.Sprintf(",port=%d,mountport=%d,locallocks", p.addr.Port(), p.addr.Port())
	} else if p.nolock {
		options += ",locallocks"
	}
	return fmt.Sprintf("sudo mount_nfs -o %s %s:/%s /private/mnt", options, p.server(), volume)
}

// announce tells the user how to mount the volumes, and how to let others do so.
func announce(w io.Writer, p *place, volumes []*causeway.Volume, settings []string) {
	fmt.Fprintf(w, "causeway %s serves NFSv3 on %v\n", versionText(), p.addr)
	for _, v := range volumes {
		fmt.Fprintf(w, "\nvolume /%s (%s), for %s\n", v.Name, strings.Join(modes(v), ", "), whoMay(v))
		fmt.Fprintf(w, "  Linux:  %s\n", p.linux(v.Name))
		fmt.Fprintf(w, "  macOS:  %s\n", p.macOS(v.Name))
		if p.aware != 0 {
			fmt.Fprintf(w, "  Go:     client.Dial(ctx, client.Config{}, \"%s:%d\"), and of that Volume(ctx, %q)\n", p.server(), p.aware, v.Name)
		}
	}
	if p.addr.Addr().IsLoopback() {
		fmt.Fprintf(w, "\nOnly this machine can reach it. To let a network in, add:\n  %s\n", strings.Join(p.opening(settings), " "))
	}
	fmt.Fprintln(w)
}

// opening is what to say to serve to the network too: each rule that already is, and one for the network.
func (p *place) opening(rules []string) []string {
	network, all := "192.168.1.0/24", "0.0.0.0"
	if p.lan.IsValid() {
		network = p.lan.Masked().String()
	}
	if p.lan.Addr().Is6() {
		all = "[::]"
	}
	words := []string{fmt.Sprintf("--listen %s:%d --portmap", all, p.addr.Port())}
	for _, rule := range rules {
		words = append(words, "--allow "+rule)
	}
	return append(words, "--allow "+network+"=rw,root_squash,secure")
}

func whoMay(v *causeway.Volume) string {
	if len(v.Exports) == 0 {
		return "nobody: there is no rule"
	}
	rules := make([]string, len(v.Exports))
	for i := range v.Exports {
		rules[i] = config.FormatRule(&v.Exports[i])
	}
	return strings.Join(rules, " ")
}

// findLAN returns the first network of this machine that others may be on, IPv4 first.
func findLAN() netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}
	}
	var found netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().IsGlobalUnicast() {
			continue
		}
		if p.Addr().Is4() {
			return p
		}
		if !found.IsValid() {
			found = p
		}
	}
	return found
}

// warnUnprivileged says what does not work without root.
func warnUnprivileged(w io.Writer, uid int) {
	if uid == 0 {
		return
	}
	fmt.Fprintf(w, "causeway: not root: only user %d of the clients can make things, and files that he cannot read are refused to all;\n"+
		"  owners cannot be changed, and ports below 1024 cannot be used. To let every client act as him, say:\n"+
		"  --allow 127.0.0.0/8=rw,all_squash,anonuid=%d,anongid=%d\n", uid, uid, os.Getegid())
}

func euid() int { return os.Geteuid() }
