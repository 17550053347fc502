package main

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDemo starts the demo, does what it tells a newcomer to do, and ends it as ^C does.
func TestDemo(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.3:0"); err != nil {
		t.Skip("this system has no other loopback addresses: ", err)
	} else {
		l.Close()
	}
	temp := t.TempDir()
	c := command(t, "demo")
	c.Env = append(c.Env, "TMPDIR="+temp)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	said := ""
	for lines := bufio.NewReader(out); !strings.Contains(said, "End with ^C"); {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ends: %v\n%s", err, said)
		}
		if strings.HasPrefix(line, "ready") {
			t.Logf("ready after %v", time.Since(begun))
		}
		said += line
	}
	commands := regexp.MustCompile(`(?m)^  \S+ (.* --state-dir \S+)$`).FindAllStringSubmatch(said, -1)
	if len(commands) < 6 {
		t.Fatalf("there is little to try:\n%s", said)
	}
	for _, m := range commands {
		if out, stderr, code := run(t, strings.Fields(m[1])...); code != 0 {
			t.Errorf("%s: status %d: %s%s", m[1], code, out, stderr)
		}
	}
	port, err := strconv.ParseUint(regexp.MustCompile(`port=(\d+)`).FindStringSubmatch(said)[1], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?m)^  dig @(\S+) -p (\d+) \S+ \S+ (?:SRV |PTR )?(\S+)$`).FindAllStringSubmatch(said, -1)
	if len(asked) != 3 {
		t.Errorf("%d questions to copy", len(asked))
	}
	for i, kind := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypePTR}[:len(asked)] {
		dnsAt, err := netip.ParseAddrPort(asked[i][1] + ":" + asked[i][2])
		if err != nil {
			t.Fatal(err)
		}
		if got := resolve(t, dnsAt.Addr(), dnsAt.Port(), asked[i][3]+".", kind); len(got) == 0 {
			t.Errorf("%v has no answer", asked[i])
		}
	}
	user := &client{t: t, at: netip.AddrPortFrom(demoAddress(1), uint16(port)), volume: demoVolumes[1]}
	user.write("before", "the kill")
	lock := regexp.MustCompile(`head -1 (\S+/g2/lock)`).FindStringSubmatch(said)[1]
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Logf("a client of the killed gateway wrote again after %v", user.write("after", "the kill"))
	if got := user.read("before"); got != "the kill" {
		t.Errorf("%q", got)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
