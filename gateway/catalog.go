package gateway

import (
	"fmt"
	"sync/atomic"

	"causeway"
)

// Catalog is the set of volumes that this gateway serves: read by every request without a lock, replaced as a whole when the
// configuration changes. The zero Catalog is empty.
type Catalog struct {
	now atomic.Pointer[catalog]
}

type catalog struct {
	list   []*causeway.Volume
	byID   map[causeway.VolumeID]*causeway.Volume
	byName map[string]*causeway.Volume
}

// Publish replaces the volumes. Names and ids must be unique.
func (c *Catalog) Publish(vs []*causeway.Volume) error {
	n := &catalog{vs, make(map[causeway.VolumeID]*causeway.Volume), make(map[string]*causeway.Volume)}
	for _, v := range vs {
		if n.byID[v.ID] != nil || n.byName[v.Name] != nil {
			return fmt.Errorf("volume %q (%v) stands twice", v.Name, v.ID)
		}
		n.byID[v.ID], n.byName[v.Name] = v, v
	}
	c.now.Store(n)
	return nil
}

// Volumes returns the volumes in the order in which they were published; the slice is shared.
func (c *Catalog) Volumes() []*causeway.Volume {
	if n := c.now.Load(); n != nil {
		return n.list
	}
	return nil
}

// ByID returns a volume or nil.
func (c *Catalog) ByID(id causeway.VolumeID) *causeway.Volume {
	if n := c.now.Load(); n != nil {
		return n.byID[id]
	}
	return nil
}

// ByName returns a volume or nil.
func (c *Catalog) ByName(name string) *causeway.Volume {
	if n := c.now.Load(); n != nil {
		return n.byName[name]
	}
	return nil
}
