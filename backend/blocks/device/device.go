// Package device is storage that several gateways reach: fixed-size blocks, and for each volume a fence register that is
// checked with every read and write (after SCSI persistent reservations, SPC-4 §5.12). It knows nothing of files, maps or
// grants. A Device is the storage itself, in memory; Server and Client carry it over TCP, so that it can live in a process
// of its own. It outlives the gateways, and nothing outlives it: it exists to prove the protocol of block maps, and to test.
package device

import (
	"context"
	"maps"
	"sync"

	"causeway"
	"causeway/backend"
)

// Storage is what a gateway can ask of a device. Errors are causeway codes or backend.ErrFenced.
type Storage interface {
	// Geometry returns the size of a block in bytes, and how many there are.
	Geometry(ctx context.Context) (size, count uint64, err error)
	// Claim makes an epoch the volume's: I/O of earlier ones ends. ErrStaleEpoch for one that is earlier itself.
	Claim(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error
	// Register returns a key that was never given before.
	Register(ctx context.Context, v causeway.VolumeID, holder string) (key uint64, err error)
	// Fence removes all keys of a holder, on behalf of the owner of an epoch.
	Fence(ctx context.Context, v causeway.VolumeID, e causeway.Epoch, holder string) error
	// Read and Write move whole blocks, from byte off on, if the tag is good; ErrInval for what is not whole, ErrNXIO for what
	// the device has not. A write is done entirely or not at all, and when it was answered it is stable.
	Read(ctx context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error
	Write(ctx context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error
	// Check only checks the tag.
	Check(ctx context.Context, v causeway.VolumeID, t backend.Tag) error
}

// MaxIO bounds one read or write, in bytes.
const MaxIO = 4 << 20

// Device is blocks in memory.
type Device struct {
	size, count uint64

	mu      sync.RWMutex // a write holds it together with the look at the register
	blocks  map[uint64][]byte
	volumes map[causeway.VolumeID]*register
	keys    uint64
}

// register says who may do I/O on a volume.
type register struct {
	epoch causeway.Epoch
	keys  map[uint64]string // the holder of each
}

var _ Storage = (*Device)(nil)

// New returns a device with count blocks of size bytes, all zeros. Memory is taken for what is written.
func New(size, count uint64) *Device {
	return &Device{size: size, count: count, blocks: map[uint64][]byte{}, volumes: map[causeway.VolumeID]*register{}}
}

// Geometry implements Storage.
func (d *Device) Geometry(context.Context) (size, count uint64, err error) {
	return d.size, d.count, nil
}

func (d *Device) volumeLocked(v causeway.VolumeID) *register {
	r := d.volumes[v]
	if r == nil {
		r = &register{keys: map[uint64]string{}}
		d.volumes[v] = r
	}
	return r
}

// Claim implements Storage.
func (d *Device) Claim(_ context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.volumeLocked(v)
	if e.Before(r.epoch) {
		return causeway.ErrStaleEpoch
	}
	r.epoch = e
	return nil
}

// Register implements Storage.
func (d *Device) Register(_ context.Context, v causeway.VolumeID, holder string) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys++
	d.volumeLocked(v).keys[d.keys] = holder
	return d.keys, nil
}

// Fence implements Storage.
func (d *Device) Fence(_ context.Context, v causeway.VolumeID, e causeway.Epoch, holder string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.volumeLocked(v)
	if e != r.epoch {
		return causeway.ErrStaleEpoch
	}
	maps.DeleteFunc(r.keys, func(_ uint64, h string) bool { return h == holder })
	return nil
}

func (d *Device) checkLocked(v causeway.VolumeID, t backend.Tag) error {
	r := d.volumes[v]
	switch {
	case r == nil || r.epoch != t.Epoch:
		return causeway.ErrStaleEpoch
	case r.keys[t.Key] == "":
		return backend.ErrFenced
	}
	return nil
}

// Check implements Storage.
func (d *Device) Check(_ context.Context, v causeway.VolumeID, t backend.Tag) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.checkLocked(v, t)
}

func (d *Device) whole(off uint64, n int) error {
	end := off + uint64(n)
	switch {
	case off%d.size != 0 || uint64(n)%d.size != 0 || n > MaxIO:
		return causeway.ErrInval
	case end < off || end > d.size*d.count:
		return causeway.ErrNXIO
	}
	return nil
}

// Read implements Storage.
func (d *Device) Read(_ context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error {
	if err := d.whole(off, len(p)); err != nil {
		return err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if err := d.checkLocked(v, t); err != nil {
		return err
	}
	for ; len(p) > 0; p, off = p[d.size:], off+d.size {
		if b := d.blocks[off/d.size]; b != nil {
			copy(p[:d.size], b)
		} else {
			clear(p[:d.size])
		}
	}
	return nil
}

// Write implements Storage.
func (d *Device) Write(_ context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error {
	if err := d.whole(off, len(p)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked(v, t); err != nil {
		return err
	}
	for ; len(p) > 0; p, off = p[d.size:], off+d.size {
		b := d.blocks[off/d.size]
		if b == nil {
			b = make([]byte, d.size)
			d.blocks[off/d.size] = b
		}
		copy(b, p)
	}
	return nil
}
