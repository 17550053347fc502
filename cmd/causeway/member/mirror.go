package member

import (
	"fmt"
	"slices"

	"causeway"
	"causeway/cluster/record"
)

// mirror makes a volume a mirror of another one, or none any more, and checks that it can be what it is. Mirrors are one step away from what they
// mirror: of a mirror there is no mirror, and what has mirrors is none.
func (o *VolumeOrder) mirror(t *record.Table, v *record.Volume) error {
	if o.MirrorOf != nil && *o.MirrorOf == "" {
		v.MirrorOf = 0
	}
	if o.MirrorOf != nil && *o.MirrorOf != "" {
		original := t.VolumeByName(*o.MirrorOf)
		switch {
		case original == nil:
			return fmt.Errorf("there is no volume %.80q to be a mirror of", *o.MirrorOf)
		case original.Name == v.Name:
			return fmt.Errorf("volume %s cannot be its own mirror", v.Name)
		case original.MirrorOf != 0:
			return fmt.Errorf("volume %s is a mirror of %s itself: name that", original.Name, nameOf(t, original.MirrorOf))
		}
		if of := mirrorsOf(t, v.ID); len(of) > 0 {
			return fmt.Errorf("volume %s has a mirror itself, %s", v.Name, of[0])
		}
		v.MirrorOf = original.ID
	}
	if v.MirrorOf != 0 && !v.ReadOnly {
		return fmt.Errorf("volume %s can be a mirror only while it is read-only: say --read-only too, or end it with --mirror-of ''", v.Name)
	}
	return nil
}

// mirrorsOf returns the names of a volume's mirrors.
func mirrorsOf(t *record.Table, id causeway.VolumeID) (names []string) {
	for item := range t.All(record.KindVolume) {
		if v := item.Value.(*record.Volume); id != 0 && v.MirrorOf == id && v.ID != id {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}

// nameOf is the name of a volume; "" for none.
func nameOf(t *record.Table, id causeway.VolumeID) string {
	if v := t.Volume(id); id != 0 && v != nil {
		return v.Name
	}
	return ""
}
