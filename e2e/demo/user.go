package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
)

// user is the second act: a client in user space, written by others (go-nfs-client), on 127.0.0.1.
func user(binary, dir string) (err error) {
	g, err := newGateway(binary, dir)
	if err != nil {
		return err
	}
	say("One gateway alone serves a directory (causeway serve)")
	if err := g.start(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			g.kill()
		}
	}()
	c, err := mount(g)
	if err != nil {
		return err
	}
	for _, scene := range []func(*client) error{(*client).tree, (*client).file, (*client).many, (*client).crash, (*client).rights} {
		if err := scene(c); err != nil {
			return err
		}
	}
	say("What the operator sees")
	if err := g.status(); err != nil {
		return err
	}
	say("The gateway is told to stop, and drains")
	c.connection.Close()
	return g.stop()
}

// client is the mounted volume, and the gateway for what happens to it.
type client struct {
	*nfs.Target
	connection *rpc.Client
	gateway    *gateway
}

func mount(g *gateway) (*client, error) {
	say("A client mounts it")
	connection, err := connect(g.address)
	if err != nil {
		return nil, err
	}
	m := nfs.Mount{Client: connection}
	uid := uint32(max(os.Getuid(), 0))
	if uid == 0 {
		uid = 1000 // root is squashed; be somebody
	}
	target, err := m.Mount("/sample", rpc.NewAuthUnix("demo", uid, uid).Auth())
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	show("%s:/sample, as user %d", g.address, uid)
	return &client{target, connection, g}, nil
}

// put writes a file through the client.
func (c *client) put(name string, content []byte) error {
	f, err := c.OpenFile(name, 0o644)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	if _, err := io.Copy(f, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Close()
}

// same compares a file in the served directory with what the client wrote.
func (c *client) same(name string, content []byte) error {
	got, err := os.ReadFile(filepath.Join(c.gateway.dir, name))
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("%s differs from what the client wrote", name)
	}
	return err
}

func (c *client) tree() error {
	say("It makes directories, files, a symbolic link, and moves a file")
	if _, err := c.Mkdir("/letters", 0o755); err != nil {
		return err
	}
	text := []byte("Dear reader,\n\nthis line came over NFS.\n")
	if err := c.put("/letters/draft", text); err != nil {
		return err
	}
	if err := c.Rename("/letters/draft", "/letters/first"); err != nil {
		return err
	}
	if err := c.Symlink("letters/first", "/latest"); err != nil {
		return err
	}
	if err := c.same("latest", text); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(c.gateway.dir, "letters"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "first" {
		return fmt.Errorf("the directory holds %v: %w", entries, err)
	}
	show("in the directory:  latest -> letters/first: %q", text)
	return nil
}

func (c *client) file() error {
	const size = 64 << 20
	content := make([]byte, size)
	rand.Read(content)
	say("It writes %d MiB, makes them stable, and reads them back", size>>20)
	start := time.Now()
	if err := c.put("/big", content); err != nil {
		return err
	}
	show("written and committed: %s", rate(size, start))
	f, err := c.Open("/big")
	if err != nil {
		return err
	}
	start = time.Now()
	got, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	show("read:                  %s", rate(size, start))
	if !bytes.Equal(got, content) {
		return errors.New("what was read differs from what was written")
	}
	if err := c.same("big", content); err != nil {
		return err
	}
	show("the same bytes came back, and lie in the directory")
	return c.Remove("/big")
}

func (c *client) many() error {
	const files = 500
	say("It makes %d files, each on disk before the answer, and lists them", files)
	if _, err := c.Mkdir("/many", 0o755); err != nil {
		return err
	}
	start := time.Now()
	for i := range files {
		if _, err := c.Create(fmt.Sprintf("/many/file-%03d", i), 0o644); err != nil {
			return err
		}
	}
	show("made:   %.1f ms each", float64(time.Since(start).Microseconds())/1000/files)
	start = time.Now()
	entries, err := c.ReadDirPlus("/many")
	if err != nil || len(entries) != files {
		return fmt.Errorf("%d entries of %d: %w", len(entries), files, err)
	}
	show("listed: %d entries in %v", len(entries), time.Since(start).Round(time.Microsecond))
	return c.RemoveAll("/many")
}

func (c *client) crash() error {
	say("The gateway is killed (kill -9) and started again; the client has not noticed")
	before, handle, err := c.Lookup("/letters/first")
	if err != nil {
		return err
	}
	if err := c.gateway.kill(); err != nil {
		return err
	}
	if err := c.gateway.start(); err != nil {
		return err
	}
	after, err := c.GetAttr(handle)
	if err != nil {
		return fmt.Errorf("the handle from before: %w", err)
	}
	if after.Size() != before.Size() {
		return fmt.Errorf("%d bytes became %d", before.Size(), after.Size())
	}
	text := []byte("written with the connection of before\n")
	if err := c.put("/letters/second", text); err != nil {
		return err
	}
	show("handles from before are good, and work goes on")
	return c.same("letters/second", text)
}

// rights tries to read a file of root, as a user. Without root there is no such file to be had.
func (c *client) rights() error {
	if os.Getuid() != 0 {
		return nil
	}
	say("It tries to read a file that only root may read")
	if err := os.WriteFile(filepath.Join(c.gateway.dir, "secret"), []byte("not for everybody\n"), 0o600); err != nil {
		return err
	}
	f, err := c.Open("/secret")
	if err == nil {
		_, err = io.ReadAll(f)
	}
	if err == nil {
		return errors.New("the client read a file of root")
	}
	show("refused: %v", err)
	return nil
}
