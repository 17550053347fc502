package fscc

import "causeway"

// Object is what most classes tell of a file or directory.
type Object struct {
	Creation, Access, Write, Change causeway.Time
	EndOfFile, Allocation           uint64 // bytes
	Attributes                      Attributes
	ReparseTag                      uint32 // with AttrReparsePoint
	FileID                          uint64
	EASize                          uint32
	Links                           uint32
}

// ObjectOf maps attributes and the record of a file called name.
func ObjectOf(a *causeway.Attr, d *DOS, name string) Object {
	o := Object{
		Creation: creation(a, d), Access: a.Atime, Write: a.Mtime, Change: a.Ctime,
		Attributes: AttributesOf(a, d, name), FileID: a.FileID, Links: a.Nlink, ReparseTag: TagOf(a.Type),
	}
	if d.Change != 0 && FileTimeOf(a.Ctime) <= d.Until {
		o.Change = d.Change.Time()
	}
	if a.Type == causeway.TypeRegular {
		o.EndOfFile, o.Allocation = a.Size, a.Used
		if a.Used == 0 && d.Attributes&AttrSparse == 0 {
			o.Allocation = roundUp(a.Size, 4096) // not yet on storage
		}
	}
	return o
}

// creation returns what a client set, else the time of birth, else, where the storage keeps none, the earliest time known.
func creation(a *causeway.Attr, d *DOS) causeway.Time {
	switch {
	case d.Creation != 0:
		return d.Creation.Time()
	case a.Btime != causeway.Time{}:
		return a.Btime
	case a.Ctime.Compare(a.Mtime) < 0:
		return a.Ctime
	}
	return a.Mtime
}

// Directory reports whether the object is one.
func (o *Object) Directory() bool { return o.Attributes&AttrDirectory != 0 }

func roundUp(n, unit uint64) uint64 {
	if n > 1<<63 {
		return n
	}
	return (n + unit - 1) / unit * unit
}

// appendBasic appends a FILE_BASIC_INFORMATION without its padding ([MS-FSCC] 2.4.7): the four times and the attributes.
func (o *Object) appendBasic(dst []byte) []byte {
	return le.AppendUint32(o.appendTimes(dst), uint32(o.Attributes))
}

func (o *Object) appendTimes(dst []byte) []byte {
	for _, t := range [4]causeway.Time{o.Creation, o.Access, o.Write, o.Change} {
		dst = appendTime(dst, t)
	}
	return dst
}
