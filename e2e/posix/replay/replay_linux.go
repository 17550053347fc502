package replay

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// player holds the tree in which the operations run. Paths come from a small set of names, so that they often meet.
type player struct {
	dir    string
	random *rand.Rand
}

// operation is one kind of step and how often it comes, in relation to others. Its answer is a word for the description.
type operation struct {
	name   string
	weight int
	do     func(p *player) (string, error)
}

var operations = []operation{
	{"write", 20, (*player).write},
	{"append", 6, (*player).append},
	{"create", 10, (*player).create},
	{"read", 8, (*player).read},
	{"mkdir", 12, (*player).mkdir},
	{"rmdir", 4, (*player).rmdir},
	{"unlink", 7, (*player).unlink},
	{"rename", 12, (*player).rename},
	{"link", 7, (*player).link},
	{"symlink", 6, (*player).symlink},
	{"mknod", 3, (*player).mknod},
	{"chmod", 6, (*player).chmod},
	{"chown", 5, (*player).chown},
	{"truncate", 6, (*player).truncate},
	{"utimens", 4, (*player).utimens},
	{"list", 4, (*player).list},
	{"stat", 6, (*player).stat},
}

// Run does ops operations in dir and writes a line for each: what was done, and its answer.
func Run(dir string, seed uint64, ops int, out io.Writer) error {
	unix.Umask(0)
	p := &player{dir: dir, random: rand.New(rand.NewPCG(seed, 2))}
	total := 0
	for _, op := range operations {
		total += op.weight
	}
	for i := range ops {
		n := p.random.IntN(total)
		for _, op := range operations {
			if n -= op.weight; n < 0 {
				detail, err := op.do(p)
				if _, err := fmt.Fprintf(out, "%d %s %s: %s\n", i, op.name, detail, answer(err)); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// answer names an error by its number, which is what must be the same everywhere.
func answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// path returns a path of one to four names, relative to the tree.
func (p *player) path() string {
	const names = "abcdefgh"
	path := ""
	for depth := 1 + p.random.IntN(4); depth > 0; depth-- {
		path = filepath.Join(path, string(names[p.random.IntN(len(names))]))
	}
	return path
}

func (p *player) in(path string) string { return filepath.Join(p.dir, path) }

// mode returns permission bits, sometimes sticky, never set-id: a server may take those from a file that root writes, a
// local file system does not.
func (p *player) mode() uint32 { return p.random.Uint32N(0o2000) }

func (p *player) bytes(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(p.random.Uint32())
	}
	return data
}

func (p *player) write() (string, error) {
	path, offset, data := p.path(), p.random.Int64N(100000), p.bytes(p.random.IntN(20000))
	detail := fmt.Sprint(path, " ", offset, " ", len(data))
	f, err := os.OpenFile(p.in(path), os.O_CREATE|os.O_WRONLY|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return detail, err
	}
	_, err = f.WriteAt(data, offset)
	return detail, errors.Join(err, f.Close())
}

func (p *player) append() (string, error) {
	path, data := p.path(), p.bytes(p.random.IntN(3000))
	detail := fmt.Sprint(path, " ", len(data))
	f, err := os.OpenFile(p.in(path), os.O_APPEND|os.O_WRONLY|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return detail, err
	}
	_, err = f.Write(data)
	return detail, errors.Join(err, f.Close())
}

func (p *player) create() (string, error) {
	path, mode := p.path(), p.mode()
	f, err := os.OpenFile(p.in(path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0)
	if err != nil {
		return path, err
	}
	return fmt.Sprintf("%s %o", path, mode), errors.Join(unix.Fchmod(int(f.Fd()), mode), f.Close())
}

func (p *player) mkdir() (string, error) {
	path := p.path()
	return path, unix.Mkdir(p.in(path), 0o700+p.random.Uint32N(0o100))
}

func (p *player) rmdir() (string, error) {
	path := p.path()
	return path, unix.Rmdir(p.in(path))
}

func (p *player) unlink() (string, error) {
	path := p.path()
	return path, unix.Unlink(p.in(path))
}

func (p *player) rename() (string, error) {
	from, to := p.path(), p.path()
	return from + " " + to, unix.Rename(p.in(from), p.in(to))
}

func (p *player) link() (string, error) {
	from, to := p.path(), p.path()
	return from + " " + to, unix.Link(p.in(from), p.in(to))
}

// symlink makes links that stay in the tree, or lead nowhere.
func (p *player) symlink() (string, error) {
	target, path := p.path(), p.path()
	return target + " " + path, unix.Symlink(target, p.in(path))
}

func (p *player) mknod() (string, error) {
	path := p.path()
	format := []uint32{unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK}[p.random.IntN(4)]
	device := 0
	if format == unix.S_IFCHR || format == unix.S_IFBLK {
		device = int(unix.Mkdev(p.random.Uint32N(4000)+60, p.random.Uint32N(100000)))
	}
	return fmt.Sprintf("%s %o %#x", path, format, device), unix.Mknod(p.in(path), format|0o640, device)
}

func (p *player) chmod() (string, error) {
	path, mode := p.path(), p.mode()
	return fmt.Sprintf("%s %o", path, mode), unix.Chmod(p.in(path), mode)
}

func (p *player) chown() (string, error) {
	path, uid, gid := p.path(), p.random.IntN(5), p.random.IntN(5)
	return fmt.Sprint(path, " ", uid, " ", gid), unix.Lchown(p.in(path), uid, gid)
}

func (p *player) truncate() (string, error) {
	path, size := p.path(), p.random.Int64N(200000)
	return fmt.Sprint(path, " ", size), unix.Truncate(p.in(path), size)
}

// utimens sets times that NFSv3 can carry.
func (p *player) utimens() (string, error) {
	path := p.path()
	at := unix.Timespec{Sec: 1 + p.random.Int64N(1<<31), Nsec: p.random.Int64N(1e9)}
	return fmt.Sprint(path, " ", at), unix.UtimesNanoAt(unix.AT_FDCWD, p.in(path), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}
