package main

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
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
