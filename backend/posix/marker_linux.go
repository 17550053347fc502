package posix

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
)

// What the marker is called: a directory in the root of the volume, and a file in it.
const (
	markerDir    = ".causeway"
	markerFile   = "volume.json"
	markerFormat = 1
)

// marker is what a volume was born with and keeps for its life.
type marker struct {
	Format     int               `json:"format"`
	Volume     string            `json:"volume"` // ID in hexadecimal
	Identity   Identity          `json:"identity"`
	Generation generation        `json:"generation,omitempty"` // of identity index
	Born       time.Time         `json:"born"`
	ID         causeway.VolumeID `json:"-"`
}

// openMarker reads the marker, or makes one and with it the volume.
func (s *Store) openMarker() error {
	place, err := s.markerPlace()
	if err != nil {
		return err
	}
	defer place.Close()
	raw, err := readIn(place, markerFile)
	if err == nil {
		return s.parseMarker(raw)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("posix: %s: marker: %w", s.dir, err)
	}
	if s.cfg.Volume != 0 {
		return fmt.Errorf("posix: %s is not the volume %v: it has no marker; is the file system mounted?", s.dir, s.cfg.Volume)
	}
	if err := s.newMarker(); err != nil {
		return err
	}
	raw, err = json.MarshalIndent(&s.marker, "", "  ")
	if err == nil {
		err = writeIn(place, markerFile, append(raw, '\n'))
	}
	if err != nil {
		return fmt.Errorf("posix: %s: marker: %w", s.dir, err)
	}
	return nil
}

// markerPlace opens the directory of the marker: in the volume or, if that cannot be written, under StateDir.
func (s *Store) markerPlace() (*os.File, error) {
	name := cname{}
	name.set(markerDir)
	e := unix.EROFS
	if s.cfg.Volume != 0 {
		e = unix.EEXIST
	} else if !s.readOnly {
		e = at(unix.SYS_MKDIRAT, s.mount.fd, &name, 0o700, 0)
	}
	if e == unix.EROFS {
		s.readOnly = true
	}
	fd, openErr := openat(s.mount.fd, &name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if openErr == 0 {
		place := os.NewFile(uintptr(fd), filepath.Join(s.dir, markerDir))
		if !s.readOnly && e == 0 {
			_ = unix.Fsync(s.mount.fd)
		}
		if _, err := readIn(place, markerFile); err == nil || !s.readOnly {
			s.marked = true
			return place, nil
		}
		place.Close()
	}
	if openErr == unix.EACCES {
		return nil, fmt.Errorf("posix: %s: %s belongs to another user, mostly root, who served the directory before: serve it as that user: %w", s.dir, markerDir, openErr)
	}
	if e != unix.EROFS && e != unix.EACCES && e != unix.EPERM {
		return nil, fmt.Errorf("posix: %s: %s: %w", s.dir, markerDir, errors.Join(e, openErr))
	}
	s.readOnly = true
	if s.cfg.StateDir == "" {
		return nil, fmt.Errorf("posix: %s cannot be written (%w) and no state directory was given to keep its identity in", s.dir, e)
	}
	return s.statePlace()
}

// statePlace is the directory under StateDir that stands in for the marker directory of this tree.
func (s *Store) statePlace() (*os.File, error) {
	var st unix.Stat_t
	if e := fstat(s.mount.fd, &st); e != 0 {
		return nil, fmt.Errorf("posix: %s: %w", s.dir, e)
	}
	abs, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, fmt.Errorf("posix: StateDir: %w", err)
	}
	place := filepath.Join(s.cfg.StateDir, fmt.Sprintf("posix-%x-%x", hash([]byte(abs)), st.Ino))
	if err := os.MkdirAll(place, 0o700); err != nil {
		return nil, fmt.Errorf("posix: StateDir: %w", err)
	}
	return os.Open(place)
}

// newMarker decides what the volume will be for its life.
func (s *Store) newMarker() error {
	var id [8]byte
	for binary.BigEndian.Uint64(id[:]) == 0 {
		_, _ = rand.Read(id[:])
	}
	way := s.cfg.Identity
	if way == IdentityAuto {
		way = IdentityIndex
		if handlesWork(s.mount.fd) == nil {
			way = IdentityHandle
		}
	}
	s.marker = marker{Format: markerFormat, Identity: way, Born: s.now().UTC(), ID: causeway.VolumeID(binary.BigEndian.Uint64(id[:]))}
	s.marker.Volume = s.marker.ID.String()
	if way == IdentityIndex {
		s.marker.Generation = chooseGeneration(s.mount.fd)
	}
	if way == IdentityHandle {
		if err := handlesWork(s.mount.fd); err != nil {
			return fmt.Errorf("posix: %s: identity handle: %w", s.dir, err)
		}
	}
	return nil
}

// parseMarker takes the marker of an older volume, and refuses what it cannot honour.
func (s *Store) parseMarker(raw []byte) error {
	m := marker{}
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("posix: %s: marker: %w", s.dir, err)
	}
	if m.Format != markerFormat {
		return fmt.Errorf("posix: %s: marker: format %d is not known to this version", s.dir, m.Format)
	}
	if _, err := fmt.Sscanf(m.Volume, "%x", (*uint64)(&m.ID)); err != nil || m.ID == 0 {
		return fmt.Errorf("posix: %s: marker: bad volume id %q", s.dir, m.Volume)
	}
	if s.cfg.Volume != 0 && m.ID != s.cfg.Volume {
		return fmt.Errorf("posix: %s is the volume %v, not %v: another file system is mounted there", s.dir, m.ID, s.cfg.Volume)
	}
	if s.cfg.Identity != IdentityAuto && s.cfg.Identity != m.Identity {
		return fmt.Errorf("posix: %s: the volume was born with identity %q and cannot be served as %q", s.dir, m.Identity, s.cfg.Identity)
	}
	switch m.Identity {
	case IdentityHandle:
		if err := handlesWork(s.mount.fd); err != nil {
			return fmt.Errorf("posix: %s: the volume's objects are named by file handles, which cannot be opened here: %w", s.dir, err)
		}
	case IdentityIndex:
		if err := checkGeneration(s.mount.fd, m.Generation); err != nil {
			return fmt.Errorf("posix: %s: %w", s.dir, err)
		}
	default:
		return fmt.Errorf("posix: %s: marker: identity %q is not known to this version", s.dir, m.Identity)
	}
	s.marker = m
	return nil
}

// readIn reads a small file of a directory.
func readIn(dir *os.File, name string) ([]byte, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<16))
}

// writeIn writes a small file, stable and whole or not at all.
func writeIn(dir *os.File, name string, data []byte) error {
	temp := name + ".new"
	fd, err := unix.Openat(int(dir.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), temp)
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = unix.Renameat(int(dir.Fd()), temp, int(dir.Fd()), name)
	}
	return errors.Join(err, dir.Sync())
}
