package posix

import (
	"errors"
	"fmt"
	"log/slog"

	"causeway"
)

// Identity is the way in which objects are named for their whole life. A volume keeps the way it was born with.
type Identity string

// The ways.
const (
	// IdentityAuto is handle where the file system and the process's privileges allow it, else index.
	IdentityAuto Identity = "auto"
	// IdentityHandle names objects by the kernel's file handles: name_to_handle_at(2). Needs CAP_DAC_READ_SEARCH and a file
	// system whose handles mean the same at every node; no FUSE file system is one.
	IdentityHandle Identity = "handle"
	// IdentityIndex names objects by inode number and birth time, found again through an index in the volume. Needs no
	// privilege.
	IdentityIndex Identity = "index"
)

// Bounds of Config.
const (
	MinDescriptors     = 64
	MaxHolder          = 128
	maxAutoDescriptors = 1 << 16
)

// Config says how a directory is served. The zero value is good for a directory that can be written.
type Config struct {
	// StateDir holds what cannot live in the directory itself because it is read-only. It must be kept as long as the
	// volume. May be empty where the directory can be written.
	StateDir string
	// Volume is the one that must be there: nothing is born in an empty directory where something else should be mounted. 0: any.
	Volume causeway.VolumeID
	// Holder is the name of the gateway where several may have the volume open at once: letters, digits, ".", "-" and "_", at most
	// MaxHolder bytes. Each keeps an index under its name; one without a name keeps the volume's only one, and nobody else may.
	Holder string
	// MaxDescriptors bounds the cache of open descriptors: at least MinDescriptors; 0: three quarters of what the process may open,
	// at most 65,536. Objects that are open beyond it are not refused.
	MaxDescriptors int
	// Identity is the way for a volume that is born now; for an older one it must be auto or the way of its birth.
	Identity Identity
	// Exclusive promises that nothing else changes the directory, so that attributes and names are served from memory. What
	// the kernel changes by itself, the time of access and the storage that is used, may lag then.
	Exclusive bool
	// ReadOnly refuses every change, and writes nothing to the directory, not even the marker (needs StateDir then).
	ReadOnly bool
	// NoPersist makes Persist return at once: names and attributes are stable when the file system gets to it.
	NoPersist bool
	// SyncWorkers bounds how many objects are synced at once: 0 is 64. File systems with a journal commit what waits together.
	SyncWorkers int
	// OnSyncError is told of each sync that failed, whoever waits for it: unstable data of the object may be lost, so write
	// verifiers must change. It must not call the store. May be nil.
	OnSyncError func(id causeway.ObjectID, err error)
	// Logger receives what an operator must know; nil: nothing is logged.
	Logger *slog.Logger

	noClone bool // for tests: no private mount
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch c.Identity {
	case "":
		c.Identity = IdentityAuto
	case IdentityAuto, IdentityHandle, IdentityIndex:
	default:
		return fmt.Errorf("posix: Identity: %q is none of auto, handle, index", c.Identity)
	}
	if c.MaxDescriptors != 0 && c.MaxDescriptors < MinDescriptors {
		return fmt.Errorf("posix: MaxDescriptors: %d is less than %d", c.MaxDescriptors, MinDescriptors)
	}
	if err := checkHolder(c.Holder); err != nil {
		return err
	}
	if c.SyncWorkers == 0 {
		c.SyncWorkers = 64
	}
	if c.SyncWorkers < 0 {
		return errors.New("posix: SyncWorkers: negative")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// checkHolder says what is wrong with a holder's name.
func checkHolder(name string) error {
	if len(name) > MaxHolder {
		return fmt.Errorf("posix: Holder: %d bytes are more than %d", len(name), MaxHolder)
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return fmt.Errorf("posix: Holder: %q has a %q", name, c)
		}
	}
	return nil
}

// Stats are counters since Open and gauges of now, for metrics.
type Stats struct {
	Descriptors    int    // in the cache now
	MaxDescriptors int    // the bound
	Known          int    // objects that can be told by number and time of birth, open or not
	Remembered     int    // objects of an exclusive volume whose attributes are in memory
	Dirty          int    // files with unsynced writes now
	Hits, Misses   uint64 // objects found in the cache, and not
	Evictions      uint64
	Syncs          uint64 // fsync and syncfs calls
	SyncRequests   uint64 // requests that they satisfied: divided by Syncs, the mean batch
	SyncErrors     uint64
	Scans          uint64 // walks of the tree that repaired the index
}
