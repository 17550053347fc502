package shadow

import (
	"fmt"
	"sync"
	"time"

	"causeway"
)

// Bounds of what a gateway keeps for another one, per volume. Owners hold less than this of each kind by themselves.
const (
	MaxRecords = 1 << 20
	MaxBytes   = 256 << 20
	maxRecord  = 64 << 10

	// Answers are forgotten by themselves, as their owner does it.
	maxReplies = 16 << 10
	replyAge   = 5 * time.Minute
)

// Keeper keeps copies for other gateways. Its zero value is empty and ready.
type Keeper struct {
	Now func() time.Time // nil: time.Now

	mu     sync.Mutex
	copies map[causeway.VolumeID]*kept
}

type kept struct {
	version Version
	seq     uint64
	records map[name][]byte
	bytes   int
	replies []reply        // the oldest first
	least   causeway.Epoch // of the owner that may still send
}

type reply struct {
	name string
	at   time.Time
}

type name struct {
	kind Kind
	name string
}

// Keep takes a batch. A batch that was taken before is taken again without harm. ErrStaleEpoch for a sender that owns the volume no
// longer; ErrNotSync for a batch that does not follow what is kept: its sender begins anew.
func (k *Keeper) Keep(b *Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.volume(b.Volume)
	switch {
	case b.Version.Epoch.Before(c.least) || b.Version.Before(c.version):
		return causeway.ErrStaleEpoch
	case b.Whole && (c.version.Before(b.Version) || c.version == b.Version && b.Seq >= c.seq):
		c.empty(b.Version)
	case b.Version != c.version || b.Seq > c.seq+1:
		return causeway.ErrNotSync
	case b.Seq <= c.seq:
		return nil
	}
	return c.take(b, k.now())
}

// Leave keeps what this gateway knew itself as the owner that it was. Unlike what others send it counts also if the next owner has
// asked already: its question may have been lost, or its successor asks again. ErrStaleEpoch if what is kept is newer.
func (k *Keeper) Leave(b *Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.volume(b.Volume)
	if b.Version.Before(c.version) {
		return causeway.ErrStaleEpoch
	}
	c.empty(b.Version)
	return c.take(b, k.now())
}

func (c *kept) take(b *Batch, now time.Time) error {
	for _, r := range b.Records {
		if err := c.put(r, now); err != nil {
			c.empty(Version{}) // half a copy is none
			return err
		}
	}
	c.seq = b.Seq
	return nil
}

func (k *Keeper) now() time.Time {
	if k.Now == nil {
		return time.Now()
	}
	return k.Now()
}

func (c *kept) empty(v Version) {
	c.version, c.seq, c.records, c.bytes, c.replies = v, 0, make(map[name][]byte), 0, nil
}

func (k *Keeper) volume(id causeway.VolumeID) *kept {
	if k.copies == nil {
		k.copies = make(map[causeway.VolumeID]*kept)
	}
	c := k.copies[id]
	if c == nil {
		c = new(kept)
		c.empty(Version{})
		k.copies[id] = c
	}
	return c
}

func (c *kept) put(r Record, now time.Time) error {
	n := name{r.Kind, r.Name}
	c.remove(n)
	size := len(r.Name) + len(r.Data)
	switch {
	case len(r.Data) == 0:
		return nil
	case size > maxRecord || len(c.records) >= MaxRecords || c.bytes+size > MaxBytes:
		return fmt.Errorf("%w: copies take %d bytes in %d records", causeway.ErrNoLocks, c.bytes, len(c.records))
	}
	c.records[n] = r.Data
	c.bytes += size
	if r.Kind == KindReply {
		c.replies = append(c.replies, reply{r.Name, now})
	}
	for len(c.replies) > maxReplies || len(c.replies) > 0 && now.Sub(c.replies[0].at) > replyAge {
		c.remove(name{KindReply, c.replies[0].name})
		c.replies = c.replies[1:]
	}
	return nil
}

func (c *kept) remove(n name) {
	if old, ok := c.records[n]; ok {
		c.bytes -= len(n.name) + len(old)
		delete(c.records, n)
	}
}

// Copy returns what is kept of a volume, for its new owner, and refuses what an older owner sends from now on.
func (k *Keeper) Copy(id causeway.VolumeID, e causeway.Epoch) Copy {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.volume(id)
	if c.least.Before(e) {
		c.least = e
	}
	if c.version.Epoch == (causeway.Epoch{}) {
		return Copy{}
	}
	out := Copy{Version: c.version, Records: make([]Record, 0, len(c.records))}
	for n, data := range c.records {
		out.Records = append(out.Records, Record{n.kind, n.name, data})
	}
	return out
}

// Retain drops the copies of volumes that are no more.
func (k *Keeper) Retain(exists func(causeway.VolumeID) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.copies {
		if !exists(id) {
			delete(k.copies, id)
		}
	}
}

// Stats counts volumes, records and bytes that are kept.
func (k *Keeper) Stats() (volumes, records, bytes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.copies {
		if len(c.records) > 0 {
			volumes++
		}
		records += len(c.records)
		bytes += c.bytes
	}
	return volumes, records, bytes
}
