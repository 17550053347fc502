// Package blocks is a volume on blocks of a device that several gateways reach by themselves: a tree of mem, a map from files
// to blocks, and a journal of both on the same device, so that another gateway can take the volume over. It proves the
// protocol of grants that list extents; the device (see device) is memory of another process.
//
// A Store is open at every gateway. At the one that owns the volume (Own) it is a backend.Store and a backend.Mapper; at the
// others it is a backend.Blocks, by which holders of grants reach their extents, and everything else fails with ErrMoved.
//
// What is behind the end of a file, within its last block, is not defined: whoever makes the file longer zeroes what comes
// to lie between the old end and what he writes, and must be alone from the old end on.
package blocks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks/device"
	"causeway/backend/mem"
)

// Config is what a Store is made of.
type Config struct {
	Device device.Storage // reached by all gateways
	Volume causeway.VolumeID
	Node   string // this gateway, under whose name the device knows it
	// LogBlocks is how long each half of the journal is, of the volume's first owner; default an eighth of the device.
	LogBlocks uint64
	Mode      uint32           // of the root directory, of the volume's first owner; 0755 if zero
	Clock     func() time.Time // time.Now if nil
}

// Validate sets defaults.
func (c *Config) Validate() error {
	switch {
	case c.Device == nil:
		return errors.New("config: Device is missing")
	case c.Volume == 0:
		return errors.New("config: Volume is missing")
	case c.Node == "" || len(c.Node) > 255 || c.Node == ownerKey:
		return errors.New("config: Node must be a name of between 1 and 255 bytes")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return nil
}

// ownerKey is the name under which owners do I/O of their own. It is no node's: a fence of what a gateway holds does not hit what
// the same gateway does as the owner, which the epoch ends.
const ownerKey = "/owner"

// Store is a volume on a device, as one gateway has it open.
type Store struct {
	cfg         Config
	size, count uint64 // of blocks
	owner       atomic.Pointer[owner]

	mu  sync.Mutex
	key uint64 // 0: none yet
}

var (
	_ backend.Store  = (*Store)(nil)
	_ backend.Blocks = (*Store)(nil)
	_ backend.Mapper = (*Store)(nil)
)

// Open opens a volume, which no gateway owns by that.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg}
	var err error
	if s.size, s.count, err = cfg.Device.Geometry(ctx); err != nil {
		return nil, err
	}
	if s.size < 512 || s.size > 1<<20 || s.count < 32 {
		return nil, causeway.ErrInval
	}
	return s, nil
}

// Own makes this gateway the owner of an epoch: what the last one wrote to the journal is the volume, and the device refuses
// all I/O of earlier epochs from now on. A device that holds nothing yet becomes an empty volume.
func (s *Store) Own(ctx context.Context, e causeway.Epoch) error {
	if err := s.cfg.Device.Claim(ctx, s.cfg.Volume, e); err != nil {
		return err
	}
	s.Leave() // of an earlier epoch
	key, err := s.cfg.Device.Register(ctx, s.cfg.Volume, ownerKey)
	if err != nil {
		return err
	}
	o, err := recoverOwner(ctx, s, backend.Tag{Epoch: e, Key: key})
	if err == nil {
		o.only = &Store{cfg: s.cfg, size: s.size, count: s.count}
		o.only.owner.Store(o)
		s.owner.Store(o)
	}
	return err
}

// Leave ends the ownership here. What was not made stable is lost.
func (s *Store) Leave() {
	if o := s.owner.Swap(nil); o != nil {
		_ = o.ended(causeway.ErrMoved)
	}
}

// During implements backend.Mapper.
func (s *Store) During(e causeway.Epoch) backend.Store {
	if o := s.owner.Load(); o != nil && o.tag.Epoch == e {
		return o.only
	}
	return &Store{cfg: s.cfg, size: s.size, count: s.count}
}

// owned returns the ownership, which may have ended on the device.
func (s *Store) owned() (*owner, error) {
	if o := s.owner.Load(); o != nil {
		return o, o.failed()
	}
	return nil, causeway.ErrMoved
}

// Close ends the use of the volume. What was not synced may be lost.
func (s *Store) Close() error {
	if o := s.owner.Swap(nil); o != nil && o.failed() == nil {
		return o.flush(context.Background())
	}
	return nil
}

// BlockSize implements backend.Blocks.
func (s *Store) BlockSize() uint64 { return s.size }

// Register implements backend.Blocks.
func (s *Store) Register(ctx context.Context, lost uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != 0 && s.key != lost {
		return s.key, nil
	}
	key, err := s.cfg.Device.Register(ctx, s.cfg.Volume, s.cfg.Node)
	if err == nil {
		s.key = key
	}
	return key, err
}

// ReadBlocks implements backend.Blocks.
func (s *Store) ReadBlocks(ctx context.Context, t backend.Tag, off uint64, p []byte) error {
	return s.cfg.Device.Read(ctx, s.cfg.Volume, t, off, p)
}

// WriteBlocks implements backend.Blocks.
func (s *Store) WriteBlocks(ctx context.Context, t backend.Tag, off uint64, p []byte) error {
	return s.cfg.Device.Write(ctx, s.cfg.Volume, t, off, p)
}

// Flush implements backend.Blocks: what the device has answered is stable.
func (s *Store) Flush(ctx context.Context, t backend.Tag) error {
	return s.cfg.Device.Check(ctx, s.cfg.Volume, t)
}

// Root returns the id of the root directory, zero where the volume is not owned.
func (s *Store) Root() causeway.ObjectID {
	if o := s.owner.Load(); o != nil {
		return o.tree.Root()
	}
	return causeway.ObjectID{}
}

// ask is a question to the tree.
func ask[T any](s *Store, f func(*mem.Store) (T, error)) (x T, err error) {
	o, err := s.owned()
	if err != nil {
		return x, err
	}
	return f(o.tree)
}

// change is a change of the tree, with which no picture of the volume is taken.
func (s *Store) change(f func(*owner) error) error {
	o, err := s.owned()
	if err != nil {
		return err
	}
	o.gate.RLock()
	defer o.gate.RUnlock()
	return f(o)
}
