// Package smb makes a share of an existing Windows or Samba server a volume, so that its clients can mount it over NFS and what is in
// it can be moved away from there. It is a client of that server as one user, whom the server's own rights apply to.
//
// Objects, handles and names are billyfs's affair; this package is the filesystem below: connections, which are bounded, timed
// and made anew when they end, paths, open files, and what the server's errors mean. What such a volume cannot do:
//
//   - Hard links, symbolic links, devices, FIFOs, sockets and ACLs cannot be made: ErrNotSupp. Symbolic links that are there are shown.
//   - The owner of everything is the one in Config, and modes come from there too; of a mode that is set only the right to write is
//     kept (the attribute "read-only"). Another owner, or another mode than these two, is ErrNotSupp.
//   - Names that differ in case only are one object, if the server thinks so.
//   - An object is known by the number that the server gives its file and its time of creation: it keeps its handle when it is renamed,
//     here or by others, and over restarts; the first handle that is not known after a restart costs a walk through the share. Samba makes the time
//     of creation up for what was not made over SMB; if it becomes another one, handles are stale after a restart. A server without
//     numbers gives objects the identity of the path at which they were first seen.
//   - A file whose last name goes is gone for who has it open. Files that others have open without sharing cannot be removed or renamed.
//   - What others change at the server is seen after Config.Attributes.
//   - When the connection ends during a change of names, its outcome is unknown, and it fails with ErrIO. Everything else waits for the next
//     connection (ErrDelay). Unstable writes before it may be lost, which the next Sync tells.
package smb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/billyfs"
)

// Config says which share is used, and how.
type Config struct {
	Address   string // host, or host:port; 445 if there is no port
	Share     string
	Directory string // in the share, names separated by "/": the root of the volume; empty: all of the share
	User      string // may be DOMAIN\user
	Password  string // sent to nobody: the server gets a proof of it (NTLMv2)

	UID, GID          uint32        // owner of everything
	FileMode, DirMode uint32        // of what may be written; 0644 and 0755 if zero
	Connections       int           // at most; 4 if zero, up to MaxConnections
	MaxFiles          int           // open at the server at a time; 1,000 if zero
	MaxEntries        int           // of a directory, which is held whole: a larger one cannot be listed; 2^20 if zero
	MaxObjects        int           // of the index; billyfs's default if zero
	Timeout           time.Duration // after which a request's connection is given up; 30 s if zero
	Retry             time.Duration // from one attempt to connect to the next; 1 s if zero
	Attributes        time.Duration // for which attributes are believed; 1 s if zero, negative: not at all
	OnSyncError       func(error)   // told that unstable writes may be lost, before another sync of the file is answered; may be nil
	Logger            *slog.Logger  // discarded if nil
	Clock             func() time.Time
}

// MaxConnections bounds Config.Connections.
const MaxConnections = 64

const defaultPort = "445"

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Address == "" {
		return errors.New("smb: Address: missing")
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		c.Address = net.JoinHostPort(strings.Trim(c.Address, "[]"), defaultPort)
	}
	if c.Share == "" || strings.ContainsAny(c.Share, `\/`) {
		return fmt.Errorf("smb: Share: %q is not the name of a share", c.Share)
	}
	c.Directory = strings.Trim(c.Directory, "/")
	for _, name := range strings.Split(c.Directory, "/") {
		if name == "." || name == ".." || name == "" && c.Directory != "" {
			return fmt.Errorf("smb: Directory: %q is not a path in the share", c.Directory)
		}
	}
	if c.User == "" {
		return errors.New("smb: User: missing; guests and anonymous users are not supported")
	}
	if (c.FileMode|c.DirMode)&^causeway.ModePerm != 0 {
		return fmt.Errorf("smb: FileMode, DirMode: %o, %o are more than permission bits", c.FileMode, c.DirMode)
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&c.Timeout, 30 * time.Second}, {&c.Retry, time.Second}, {&c.Attributes, time.Second}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if c.Timeout < 0 || c.Retry < 0 {
		return fmt.Errorf("smb: Timeout, Retry: %v, %v are negative", c.Timeout, c.Retry)
	}
	return c.validateCounts()
}

func (c *Config) validateCounts() error {
	for _, d := range []struct {
		value *uint32
		usual uint32
	}{{&c.FileMode, 0o644}, {&c.DirMode, 0o755}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if c.Connections == 0 {
		c.Connections = 4
	}
	if c.MaxFiles == 0 {
		c.MaxFiles = 1000
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 1 << 20
	}
	if c.MaxEntries < 1 {
		return fmt.Errorf("smb: MaxEntries: %d is not positive", c.MaxEntries)
	}
	if c.Connections < 1 || c.Connections > MaxConnections {
		return fmt.Errorf("smb: Connections: %d is not between 1 and %d", c.Connections, MaxConnections)
	}
	if c.MaxFiles < 1 {
		return fmt.Errorf("smb: MaxFiles: %d is not positive", c.MaxFiles)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return nil
}

// Store is a share as a volume.
type Store struct {
	*billyfs.Store
	share *share
}

var _ backend.Store = (*Store)(nil)

// Open connects to the server and makes its share a volume. Who closes it waits for the requests that run.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	sh := newShare(cfg)
	if err := sh.links.check(ctx); err != nil {
		sh.links.close()
		return nil, fmt.Errorf("connect to %s at %s as %s: %w", cfg.Share, cfg.Address, cfg.User, err)
	}
	under, err := billyfs.New(sh, billyfs.Config{UID: cfg.UID, GID: cfg.GID, MaxFile: 1<<63 - 1, MaxObjects: cfg.MaxObjects, Clock: cfg.Clock})
	if err != nil {
		sh.links.close()
		return nil, err
	}
	return &Store{under, sh}, nil
}

// VolumeID is made of the server's name and port and the share's name, so that it is the same at all gateways.
func (s *Store) VolumeID() causeway.VolumeID {
	h := sha256.Sum256([]byte(strings.ToLower("smb://" + s.share.cfg.Address + "/" + s.share.cfg.Share + "/" + s.share.cfg.Directory)))
	return causeway.VolumeID(binary.BigEndian.Uint64(h[:]) | 1)
}

// SetPassword changes the password with which the next connections are made; empty: it stays.
func (s *Store) SetPassword(password string) {
	l := s.share.links
	l.mu.Lock()
	defer l.mu.Unlock()
	if password != "" {
		l.cfg.Password = password
	}
}

// ReadOnly reports whether the volume cannot be written at all: what the server's rights forbid is found by trying.
func (s *Store) ReadOnly() bool { return false }

// Close closes files and connections.
func (s *Store) Close() error {
	err := s.Store.Close()
	s.share.close()
	return err
}
