package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// A kept descriptor is a byte of version, a seal, and the descriptor. The seal is made of what POSIX says about the same rights, so that
// a chmod, chown or setfacl, over NFS or beside the gateways, makes the descriptor count no more; and with the volume's key, so that a
// program beside the gateways which may write the file's attributes cannot make one.
const (
	descriptorVersion = 1
	sealSize          = 16
)

// descriptorOf is the descriptor of an object: ErrNoEnt if it has none that counts.
func (e *Engine) descriptorOf(ctx context.Context, c *gateway.Caller, h causeway.Handle) ([]byte, error) {
	v, attr, err := e.statFor(ctx, c, h)
	if err != nil {
		return nil, err
	}
	return v.descriptor(ctx, h.Object, &attr)
}

// descriptor reads the descriptor of an object with these attributes, and holds it against them: ErrNoEnt if it does not count.
func (v *volume) descriptor(ctx context.Context, id causeway.ObjectID, a *causeway.Attr) ([]byte, error) {
	x, ok := v.store.(backend.Xattrs)
	if !ok || a.Type == causeway.TypeSymlink {
		return nil, causeway.ErrNoEnt
	}
	b, err := x.Xattr(ctx, id, causeway.DescriptorXattr)
	if err != nil {
		return nil, err
	}
	if len(b) < 1+sealSize || b[0] != descriptorVersion {
		return nil, causeway.ErrNoEnt
	}
	list, err := v.listOf(ctx, id, a)
	if err != nil {
		return nil, err
	}
	descriptor := b[1+sealSize:]
	for _, key := range v.sealKeys() {
		if hmac.Equal(sealOf(key, a, list, descriptor), b[1:1+sealSize]) {
			return descriptor, nil
		}
	}
	return nil, causeway.ErrNoEnt
}

// seal returns a descriptor as it is kept with an object of these attributes.
func (v *volume) seal(ctx context.Context, id causeway.ObjectID, a *causeway.Attr, descriptor []byte) ([]byte, error) {
	list, err := v.listOf(ctx, id, a)
	if err != nil {
		return nil, err
	}
	if len(descriptor) > causeway.MaxXattrValue-1-sealSize {
		return nil, causeway.ErrFBig
	}
	b := append([]byte{descriptorVersion}, sealOf(v.sealKeys()[0], a, list, descriptor)...)
	return append(b, descriptor...), nil
}

// listOf is the access list, which attributes may have come without.
func (v *volume) listOf(ctx context.Context, id causeway.ObjectID, a *causeway.Attr) (*causeway.ACL, error) {
	if !a.Extended {
		return a.ACL, nil
	}
	return v.store.ACL(ctx, id)
}

// sealKeys are the keys of seals, the first makes them. A volume without keys is never exported by handle.
func (v *volume) sealKeys() []causeway.HandleKey {
	if len(v.Keys) == 0 {
		return make([]causeway.HandleKey, 1)
	}
	return v.Keys
}

func sealOf(key causeway.HandleKey, a *causeway.Attr, list *causeway.ACL, descriptor []byte) []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, 128), "causeway descriptor\x00"...)
	for _, n := range [...]uint32{uint32(a.Type), a.UID, a.GID, a.Mode} {
		b = le.AppendUint32(b, n)
	}
	if list != nil {
		b = le.AppendUint32(b, uint32(len(list.Entries))+1)
		for _, e := range list.Entries {
			b = le.AppendUint32(append(b, byte(e.Tag), byte(e.Perm)), e.ID)
		}
	} else {
		b = le.AppendUint32(b, 0)
	}
	mac := hmac.New(sha256.New, key.Secret[:])
	mac.Write(b)
	mac.Write(descriptor)
	return mac.Sum(nil)[:sealSize]
}

// windowsRights is openRights for who comes by SMB to an object with a descriptor, or in a directory with one. kept: there is such a
// descriptor, and may is what it gives.
func (o *opening) windowsRights(ctx context.Context, a, dir *causeway.Attr) (may causeway.AccessMask, kept bool, err error) {
	granted := o.e.cfg.Granted
	if granted == nil || o.c.Owner.Kind != causeway.OwnerSMB || o.c.Cred.UID == 0 {
		return 0, false, nil
	}
	may, kept, err = o.given(ctx, o.entry.Handle, a)
	if err != nil {
		return 0, false, err
	}
	if !kept {
		may = openRights(&o.c.Cred, a, dir)
	}
	if dir == nil || o.spec.Access&(causeway.Delete|causeway.MaximumAllowed) == 0 && o.spec.Access&^may == 0 {
		return may, kept, nil // the directory has nothing to add
	}
	above, keptAbove, err := o.given(ctx, o.h, dir)
	if err != nil {
		return 0, false, err
	}
	switch {
	case keptAbove && !kept:
		may &^= causeway.Delete
		fallthrough
	case keptAbove:
		if above&causeway.FileDeleteChild != 0 {
			may |= causeway.Delete
		}
		if above&causeway.FileReadData != 0 {
			may |= causeway.FileReadAttributes
		}
	default:
		if unnames(&o.c.Cred, dir, a) {
			may |= causeway.Delete
		}
		if causeway.Permit(&o.c.Cred, dir, causeway.MayRead) != 0 {
			may |= causeway.FileReadAttributes
		}
	}
	return may, kept || keptAbove, nil
}

// given is what an object's descriptor gives the caller.
func (o *opening) given(ctx context.Context, h causeway.Handle, a *causeway.Attr) (causeway.AccessMask, bool, error) {
	b, err := o.v.descriptor(ctx, h.Object, a)
	switch causeway.CodeOf(err) {
	case causeway.OK:
	case causeway.ErrNoEnt, causeway.ErrNotSupp:
		return 0, false, nil
	default:
		return 0, false, err
	}
	may, ok := o.e.cfg.Granted(b, &o.c.Cred, a)
	return may, ok, nil
}

// mayAdd asks the descriptor of the directory, if it has one, whether something may be made there.
func (o *opening) mayAdd(ctx context.Context) error {
	if o.e.cfg.Granted == nil || o.c.Owner.Kind != causeway.OwnerSMB || o.c.Cred.UID == 0 {
		return nil
	}
	may, kept, err := o.given(ctx, o.h, &o.dir.before)
	need := causeway.FileWriteData
	if o.spec.Create.Type == causeway.TypeDirectory {
		need = causeway.FileAppendData
	}
	if err == nil && kept && may&need == 0 {
		err = causeway.ErrAccess
	}
	return err
}
