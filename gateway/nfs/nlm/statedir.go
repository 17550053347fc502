package nlm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// stateFormat is the format number of all files of a StateDir.
const stateFormat = 1

// Sizes that a file of a StateDir can have at most, in bytes, and how many records are read.
const (
	maxRecordFile  = 4 << 10
	maxRecordFiles = 100_000
)

// StateDir keeps records in a directory: a file per client, and the state number.
type StateDir struct {
	dir   string
	state uint32
	known []Record

	mu sync.Mutex // one writer at a time: writes are as rare as new clients
}

var _ Records = (*StateDir)(nil)

// stateFile and recordFile are the files' contents.
type stateFile struct {
	Format int    `json:"format"`
	State  uint32 `json:"state"`
}

type recordFile struct {
	Format int `json:"format"`
	Record
}

// OpenStateDir opens a directory, which is made if it is not there, and begins a new life: the state number has risen when it
// returns. A record that cannot be read is an error: clients that cannot be told would go on without their locks.
func OpenStateDir(dir string) (*StateDir, error) {
	s := &StateDir{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var old stateFile
	err := readJSON(filepath.Join(dir, "state"), &old)
	if err == nil && old.Format != stateFormat {
		err = fmt.Errorf("%s: format %d is not known", dir, old.Format)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.state = (old.State + 2) | 1
	if err := s.readRecords(); err != nil {
		return nil, err
	}
	return s, s.write("state", stateFile{stateFormat, s.state})
}

func (s *StateDir) readRecords() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".client" {
			if strings.HasSuffix(e.Name(), ".new") { // a write that was cut off
				os.Remove(filepath.Join(s.dir, e.Name()))
			}
			continue
		}
		if len(s.known) == maxRecordFiles {
			return fmt.Errorf("%s: more than %d records", s.dir, maxRecordFiles)
		}
		var r recordFile
		if err := readJSON(filepath.Join(s.dir, e.Name()), &r); err != nil {
			return err
		}
		if r.Format != stateFormat || r.Name == "" || !r.Addr.IsValid() {
			return fmt.Errorf("%s: not a record of format %d", e.Name(), stateFormat)
		}
		s.known = append(s.known, r.Record)
	}
	return nil
}

func readJSON(file string, v any) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, maxRecordFile+1)
	n, err := f.Read(b)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if n > maxRecordFile {
		return fmt.Errorf("%s: too large", file)
	}
	if err := json.Unmarshal(b[:n], v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Known implements Records.
func (s *StateDir) Known() []Record { return s.known }

// At implements Records: there is no other gateway.
func (s *StateDir) At(netip.Addr) []Record { return nil }

// Mine implements Records: what is known from before is to be told first.
func (s *StateDir) Mine() []Record { return nil }

// Stray implements Records: there is no other gateway.
func (s *StateDir) Stray() []Record { return nil }

// State implements Records.
func (s *StateDir) State() uint32 { return s.state }

// fileName is a hash: names of clients are no file names.
func fileName(r Record) string {
	sum := sha256.Sum256([]byte(r.Client()))
	return hex.EncodeToString(sum[:16]) + ".client"
}

// Put implements Records.
func (s *StateDir) Put(_ context.Context, r Record) error {
	return s.write(fileName(r), recordFile{stateFormat, r})
}

// Delete implements Records. It is not synced: a record that comes back after a crash costs a message to its client.
func (s *StateDir) Delete(_ context.Context, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.Remove(filepath.Join(s.dir, fileName(r)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// write replaces a file: another one is written and synced, renamed, and the directory synced.
func (s *StateDir) write(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file := filepath.Join(s.dir, name)
	f, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
