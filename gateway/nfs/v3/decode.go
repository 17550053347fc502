package v3

import (
	"causeway"
	"causeway/gateway/nfs/xdr"
)

const (
	maxHandle = 64      // NFS3_FHSIZE
	maxString = 1 << 16 // names and link targets: more than any storage takes, so that too long ones get their own error
	maxOffset = 1<<63 - 1
)

// handle decodes nfs_fh3.
func handle(d *xdr.Decoder) []byte { return d.Opaque(maxHandle) }

// dirOp decodes diropargs3. The name is a view of the record.
func dirOp(d *xdr.Decoder) (dir []byte, name string) {
	return handle(d), d.String(maxString)
}

// checkName refuses what is too long for any volume; the rest of what makes a name bad is access's to know.
func checkName(name string) error {
	if len(name) > causeway.MaxName {
		return causeway.ErrNameTooLong
	}
	return nil
}

// sattr decodes sattr3 (RFC 1813 §2.6). Values out of range that are well-formed XDR are reported as err, so that the
// procedure can answer INVAL; mode bits that do not exist are ignored, as other servers do.
func sattr(d *xdr.Decoder, set *causeway.SetAttr) (err error) {
	if d.Bool() {
		set.Mask |= causeway.SetMode
		set.Mode = d.Uint32() & causeway.ModeAll
	}
	if d.Bool() {
		set.Mask |= causeway.SetUID
		set.UID = d.Uint32()
	}
	if d.Bool() {
		set.Mask |= causeway.SetGID
		set.GID = d.Uint32()
	}
	if d.Bool() {
		set.Mask |= causeway.SetSize
		if set.Size = d.Uint64(); set.Size > maxOffset {
			err = causeway.ErrFBig
		}
	}
	for _, t := range [...]struct {
		now, given causeway.SetMask
		time       *causeway.Time
	}{{causeway.SetAtimeNow, causeway.SetAtime, &set.Atime}, {causeway.SetMtimeNow, causeway.SetMtime, &set.Mtime}} {
		switch d.Uint32() { // time_how
		case 0:
		case 1:
			set.Mask |= t.now
		case 2:
			set.Mask |= t.given
			if *t.time = nfsTime(d); t.time.Nsec >= 1e9 {
				err = causeway.ErrInval
			}
		default:
			d.Fail()
		}
	}
	return err
}

// nfsTime decodes nfstime3, whose seconds are unsigned.
func nfsTime(d *xdr.Decoder) causeway.Time {
	return causeway.Time{Sec: int64(d.Uint32()), Nsec: d.Uint32()}
}
