package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// trio is a running `causeway demo`: three gateways as one file server.
type trio struct {
	binary  string
	process *exec.Cmd
	said    string // what it printed until it was ready, and what to try

	mu     sync.Mutex
	later  []string // what it said after that
	ended  chan struct{}
	state  string // state directory of the first gateway
	places []netip.AddrPort
	names  []string // of the volumes that the mount lines name, by gateway
}

// mountLine is what causeway demo prints for each gateway.
var mountLine = regexp.MustCompile(`(?m)^  g\d: .*[,=]port=(\d+),.* (127\.0\.0\.\d+):/(\S+) `)

// startShow runs causeway demo and waits until it has said what to try.
func startShow(binary string) (*trio, error) {
	s := &trio{binary: binary, process: exec.Command(binary, "demo"), ended: make(chan struct{})}
	s.process.Stderr = os.Stderr
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for this program, which ends it
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	for !strings.Contains(s.said, "End with ^C") {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("causeway demo did not get ready: %w\n%s", errors.Join(err, s.process.Wait()), s.said)
		}
		s.said += line
	}
	go s.listen(lines)
	for _, m := range mountLine.FindAllStringSubmatch(s.said, -1) {
		at, err := netip.ParseAddrPort(m[2] + ":" + m[1])
		if err != nil {
			return nil, err
		}
		s.places, s.names = append(s.places, at), append(s.names, m[3])
	}
	if m := regexp.MustCompile(`status --state-dir (\S+)`).FindStringSubmatch(s.said); m != nil {
		s.state = m[1]
	}
	if len(s.places) != 3 || s.state == "" {
		return nil, errors.Join(fmt.Errorf("causeway demo names %d places to mount from:\n%s", len(s.places), s.said), s.stop())
	}
	return s, nil
}

func (s *trio) listen(lines *bufio.Reader) {
	defer close(s.ended)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		s.mu.Lock()
		s.later = append(s.later, strings.TrimRight(line, "\n"))
		s.mu.Unlock()
	}
}

// heard reports whether it has said something since it was ready.
func (s *trio) heard(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.later, "\n"), what)
}

// stop ends it as ^C does.
func (s *trio) stop() error {
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	<-s.ended
	return s.process.Wait()
}

// dir is the directory of a gateway: beside that of the first one.
func (s *trio) dir(gateway string) string { return filepath.Join(filepath.Dir(s.state), gateway) }

// kill ends a gateway's process as a crash does.
func (s *trio) kill(gateway string) error {
	text, err := os.ReadFile(filepath.Join(s.dir(gateway), "lock"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return err
	}
	say("Gateway %s is killed before your eyes", gateway)
	show("$ kill -9 %d", pid)
	return syscall.Kill(pid, syscall.SIGKILL)
}

// command runs a command at a gateway, and shows what it prints.
func (s *trio) command(gateway string, words ...string) error {
	show("$ causeway %s", strings.Join(words, " "))
	text, err := exec.Command(s.binary, append(words, "--state-dir", s.dir(gateway))...).CombinedOutput()
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "" {
			break // what follows is about the one gateway
		}
		show("%s", strings.TrimRight(line, "\n"))
	}
	return err
}

// owners says which gateway administers each volume, as one of them sees it.
func (s *trio) owners(gateway string) (map[string]string, error) {
	text, err := exec.Command(s.binary, "volume", "ls", "--json", "--state-dir", s.dir(gateway)).Output()
	if err != nil {
		return nil, err
	}
	var list []struct {
		Name, Owner string
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	owners := make(map[string]string)
	for _, v := range list {
		owners[v.Name] = v.Owner
	}
	return owners, nil
}

// cluster is the first act: clients work with three gateways, of which one is killed.
func cluster(binary string) (err error) {
	say("Three gateways on this machine are one file server (causeway demo)")
	begun := time.Now()
	s, err := startShow(binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end(err == nil)) }()
	show("ready after %v", time.Since(begun).Round(10*time.Millisecond))
	for i, at := range s.places {
		show("g%d answers at %v", i+1, at)
	}
	victim := "g2"
	owners, err := s.owners("g1")
	if err != nil {
		return err
	}
	crew := s.hire(owners, victim)
	if err := crew.await(20); err != nil {
		return errors.Join(err, crew.stop())
	}
	if err := s.command("g1", "volume", "ls"); err != nil {
		return errors.Join(err, crew.stop())
	}
	killed := time.Now()
	if err := errors.Join(s.kill(victim), crew.await(50), crew.stop()); err != nil {
		return err
	}
	say("The work went on")
	crew.report(killed)
	if err := s.command("g1", "volume", "ls"); err != nil {
		return err
	}
	if err := crew.verify(s); err != nil {
		return err
	}
	return s.awaitReturn(victim)
}

// awaitReturn waits until the gateway that was killed is back.
func (s *trio) awaitReturn(victim string) error {
	say("The gateway is started again, and gets its address back")
	for begun := time.Now(); !s.heard(victim + " runs again"); time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			return fmt.Errorf("%s does not come back", victim)
		}
	}
	return s.command("g1", "node", "ls")
}

// end leaves the cluster running for who sits at a terminal, until Enter or ^C, and stops it.
func (s *trio) end(well bool) error {
	if well && atTerminal() {
		say("The three gateways still run: try this in another terminal")
		fmt.Print(s.said)
		fmt.Println("\nPress Enter here to go on.")
		awaitEnter(s.ended)
	}
	return s.stop()
}
