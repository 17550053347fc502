package stress

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Config says how much is done.
type Config struct {
	Dir       string
	Seed      uint64
	Processes int
	Ops       int  // per process
	Share     bool // the tree is on a share of SMB: there are no symbolic links, and what somebody else has open may be refused
	Log       io.Writer
}

// Run starts the processes (program with the arguments that args gives for each) and verifies the tree when they have
// ended.
func Run(config Config, program string, args func(worker int) []string) error {
	shared := filepath.Join(config.Dir, "shared")
	if err := os.Mkdir(shared, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	workers := make([]*exec.Cmd, config.Processes)
	for i := range workers {
		workers[i] = exec.Command(program, args(i)...)
		workers[i].Stdout, workers[i].Stderr = config.Log, config.Log
		if err := workers[i].Start(); err != nil {
			return err
		}
	}
	var problems []error
	for i, worker := range workers {
		if err := worker.Wait(); err != nil {
			problems = append(problems, fmt.Errorf("process %d: %w", i, err))
		}
	}
	return errors.Join(append(problems, checkTree(shared), os.RemoveAll(shared))...)
}

// checkTree walks a tree that has come to rest: every name must lead to an object, every file must be readable.
func checkTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if info.Mode().Type() != entry.Type() {
			return fmt.Errorf("%s is listed as %v and is %v", path, entry.Type(), info.Mode().Type())
		}
		if info.Mode().IsRegular() {
			_, err = os.ReadFile(path)
		}
		return err
	})
}

// Work is what one process does: turns in its own part and in the shared one.
func Work(config Config, worker int) error {
	random := rand.New(rand.NewPCG(config.Seed, uint64(worker)))
	own, err := newOwner(filepath.Join(config.Dir, fmt.Sprint("own-", worker)), random)
	if err != nil {
		return err
	}
	together := &sharer{dir: filepath.Join(config.Dir, "shared"), share: config.Share, random: random}
	for i := range config.Ops {
		if random.IntN(2) == 0 {
			err = own.step()
		} else {
			err = together.step()
		}
		if err != nil {
			return fmt.Errorf("worker %d, operation %d: %w", worker, i, err)
		}
	}
	return own.finish()
}

// sharer works where others work too.
type sharer struct {
	dir    string
	share  bool
	random *rand.Rand
}

// expected are the answers that calls on names may give when others change them meanwhile.
var expected = []unix.Errno{unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.ENOTEMPTY, unix.EINVAL, unix.ELOOP, unix.EPERM,
	unix.ENXIO, unix.ESTALE, unix.EBUSY}

// ofShares are further ones where the client speaks SMB.
var ofShares = []unix.Errno{unix.EOPNOTSUPP, unix.EACCES}

func (s *sharer) path() string {
	path := s.dir
	for depth := 1 + s.random.IntN(3); depth > 0; depth-- {
		path = filepath.Join(path, string(rune('a'+s.random.IntN(12))))
	}
	return path
}

func (s *sharer) step() error {
	call := sharedCalls[s.random.IntN(len(sharedCalls))]
	err := call.do(s)
	var errno unix.Errno
	if err == nil || errors.As(err, &errno) && (slices.Contains(expected, errno) || s.share && slices.Contains(ofShares, errno)) || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("%s: %w", call.name, err)
}

var sharedCalls = []struct {
	name string
	do   func(s *sharer) error
}{
	{"create", func(s *sharer) error {
		return onFile(s.path(), os.O_CREATE|os.O_WRONLY, func(f *os.File) error { _, err := f.Write(make([]byte, s.random.IntN(30000))); return err })
	}},
	{"write", func(s *sharer) error {
		return onFile(s.path(), os.O_WRONLY, func(f *os.File) error {
			_, err := f.WriteAt([]byte("some bytes"), s.random.Int64N(1<<20))
			return err
		})
	}},
	{"read", func(s *sharer) error {
		return onFile(s.path(), os.O_RDONLY, func(f *os.File) error {
			_, err := f.ReadAt(make([]byte, 4096), s.random.Int64N(1<<16))
			return err
		})
	}},
	{"truncate", func(s *sharer) error { return unix.Truncate(s.path(), s.random.Int64N(1<<18)) }},
	{"mkdir", func(s *sharer) error { return unix.Mkdir(s.path(), 0o755) }},
	{"mkdir", func(s *sharer) error { return unix.Mkdir(s.path(), 0o755) }},
	{"rmdir", func(s *sharer) error { return unix.Rmdir(s.path()) }},
	{"unlink", func(s *sharer) error { return unix.Unlink(s.path()) }},
	{"rename", func(s *sharer) error { return unix.Rename(s.path(), s.path()) }},
	{"rename", func(s *sharer) error { return unix.Rename(s.path(), s.path()) }},
	{"link", func(s *sharer) error { return unix.Link(s.path(), s.path()) }},
	{"symlink", func(s *sharer) error { return unix.Symlink("a/b", s.path()) }},
	{"mkfifo", func(s *sharer) error { return unix.Mkfifo(s.path(), 0o644) }},
	{"chmod", func(s *sharer) error { return unix.Chmod(s.path(), 0o600+s.random.Uint32N(0o100)) }},
	{"stat", func(s *sharer) error { return unix.Stat(s.path(), new(unix.Stat_t)) }},
	{"list", func(s *sharer) error { _, err := os.ReadDir(filepath.Dir(s.path())); return err }},
	{"fsync", func(s *sharer) error { return onFile(s.path(), os.O_WRONLY, (*os.File).Sync) }},
}

// onFile opens a regular file, which a name may no longer be, and does something with it.
func onFile(path string, flags int, do func(f *os.File) error) error {
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return do(f)
}
