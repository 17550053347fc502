package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Gluster is a GlusterFS volume of one brick, on a host of its own, which any host of the network may mount. There is no glusterd:
// brick and mounts have volume files written here.
type Gluster struct {
	t     testing.TB
	host  *Host
	brick *daemon
	Brick string // the directory that holds the volume's files, for looking only
	dir   string
	flags []string
}

const glusterPort = 24999

const glusterBrick = `volume brick
  type storage/posix
  option directory %s
end-volume
volume locks
  type features/locks
  subvolumes brick
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.socket.listen-port %d
  option auth.addr.locks.allow *
  subvolumes locks
end-volume
`

const glusterClient = `volume client
  type protocol/client
  option transport-type tcp
  option remote-host %v
  option remote-port %d
  option remote-subvolume locks
end-volume
`

// NewGluster starts the brick. Each mount is made with these flags of glusterfs(8).
func NewGluster(t testing.TB, network *Network, flags ...string) *Gluster {
	t.Helper()
	RequireProgram(t, "glusterfsd", "glusterfs-server")
	RequireProgram(t, "glusterfs", "glusterfs-client")
	g := &Gluster{t: t, host: network.Host(), dir: t.TempDir(), flags: flags}
	g.Brick = filepath.Join(g.dir, "brick")
	if err := os.Mkdir(g.Brick, 0o755); err != nil {
		t.Fatal(err)
	}
	server := g.write("brick.vol", fmt.Sprintf(glusterBrick, g.Brick, glusterPort))
	g.brick = g.daemon(g.host, "brick", "glusterfsd", "-f", server)
	g.brick.start()
	g.brick.await(func() error {
		conn, err := g.host.Dial(t.Context(), "tcp", fmt.Sprintf("%v:%d", g.host.Address, glusterPort))
		if err == nil {
			conn.Close()
		}
		return err
	})
	g.write("client.vol", fmt.Sprintf(glusterClient, g.host.Address, glusterPort))
	return g
}

func (g *Gluster) write(name, text string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// daemon is a program of GlusterFS that stays in the foreground.
func (g *Gluster) daemon(host *Host, name, program string, words ...string) *daemon {
	g.t.Helper()
	path, err := LookPath(program)
	if err != nil {
		g.t.Fatal(err)
	}
	log := filepath.Join(g.dir, fmt.Sprintf("%s-%v.log", name, host.Address))
	d := newDaemon(g.t, host, name, append([]string{path, "--no-daemon", "-l", log}, words...)...)
	d.ordinary = true
	return d
}

// GlusterMount is a mount of the volume, and the process behind it.
type GlusterMount struct {
	*daemon
	at string
}

// Mount mounts the volume on a host, which gets a mount table of its own for it: other hosts may mount it at the same place.
func (g *Gluster) Mount(host *Host, at string) *GlusterMount {
	g.t.Helper()
	if err := os.MkdirAll(at, 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := host.ownMounts(); err != nil {
		g.t.Fatal(err)
	}
	words := append([]string{"-f", filepath.Join(g.dir, "client.vol")}, g.flags...)
	m := &GlusterMount{g.daemon(host, "mount", "glusterfs", append(words, at)...), at}
	m.mount()
	return m
}

func (m *GlusterMount) mount() {
	m.t.Helper()
	m.start()
	m.await(func() error {
		var fs unix.Statfs_t
		var err error
		m.host.Do(func() { err = unix.Statfs(m.at, &fs) })
		if err == nil && fs.Type != 0x65735546 {
			err = errors.New("it is not mounted yet")
		}
		return err
	})
}

// Again mounts the volume anew in place of a mount whose process has died.
func (m *GlusterMount) Again() {
	m.t.Helper()
	m.host.MustRun("umount", "--lazy", m.at)
	m.mount()
}

// ownMounts gives the host a mount table of its own.
func (h *Host) ownMounts() (err error) {
	h.Do(func() {
		if err = unix.Unshare(unix.CLONE_NEWNS); err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
	})
	return err
}
