package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// gateway is `causeway serve` of one directory.
type gateway struct {
	binary, dir, state string
	address            string // of NFS, once it is ready
	process            *exec.Cmd
	log                *os.File
}

// start runs the gateway and waits until it says that it is ready. What it prints is shown the first time.
func (g *gateway) start() error {
	listen, quiet := g.address, g.address != ""
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	g.process = exec.Command(g.binary, "serve", "sample="+g.dir, "--listen", listen, "--admin", "off", "--state-dir", g.state)
	g.process.Stderr = g.log
	out, err := g.process.StdoutPipe()
	if err != nil {
		return err
	}
	if !quiet {
		show("$ causeway serve sample=%s --listen %s", g.dir, listen)
	}
	if err := g.process.Start(); err != nil {
		return err
	}
	return g.await(bufio.NewReader(out), quiet)
}

var servesAt = regexp.MustCompile(`serves NFSv3 on (\S+)`)

func (g *gateway) await(out *bufio.Reader, quiet bool) error {
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			said, _ := os.ReadFile(g.log.Name())
			return fmt.Errorf("the gateway did not get ready: %w\n%s", errors.Join(err, g.process.Wait()), said)
		}
		if m := servesAt.FindStringSubmatch(line); m != nil {
			g.address = m[1]
		}
		if line = strings.TrimRight(line, "\n"); !quiet {
			show("%s", line)
		}
		if line == "ready" {
			go io.Copy(io.Discard, out) // ends with the process
			return nil
		}
	}
}

// kill ends the gateway as a crash does.
func (g *gateway) kill() error {
	if err := g.process.Process.Kill(); err != nil {
		return err
	}
	g.process.Wait() // fails: it was killed
	return nil
}

// stop ends the gateway as a service manager does.
func (g *gateway) stop() error {
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return g.process.Wait()
}

// status shows what the operator's command prints.
func (g *gateway) status() error {
	show("$ causeway status")
	text, err := exec.Command(g.binary, "status", "--state-dir", g.state).CombinedOutput()
	for line := range strings.Lines(string(text)) {
		show("%s", strings.TrimRight(line, "\n"))
	}
	return err
}

func newGateway(binary, dir string) (*gateway, error) {
	g := &gateway{binary: binary, dir: filepath.Join(dir, "sample"), state: filepath.Join(dir, "state")}
	if err := os.Mkdir(g.dir, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(g.dir, 0o777); err != nil { // whatever the umask is: root is squashed
		return nil, err
	}
	var err error
	g.log, err = os.Create(filepath.Join(dir, "log"))
	return g, err
}
