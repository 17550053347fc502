package security

import (
	"causeway"
	"causeway/gateway/smb/ntstatus"
)

// Mask is an access mask ([MS-SMB2] 2.2.13.1, [MS-DTYP] 2.4.3).
type Mask uint32

// The rights. Those of a directory have the numbers of a file's: ListDirectory, AddFile, AddSubdirectory, Traverse.
const (
	ReadData        Mask = 0x1
	WriteData       Mask = 0x2
	AppendData      Mask = 0x4
	ReadEA          Mask = 0x8
	WriteEA         Mask = 0x10
	Execute         Mask = 0x20
	DeleteChild     Mask = 0x40
	ReadAttributes  Mask = 0x80
	WriteAttributes Mask = 0x100
	Delete          Mask = 0x10000
	ReadControl     Mask = 0x20000
	WriteDAC        Mask = 0x40000
	WriteOwner      Mask = 0x80000
	Synchronize     Mask = 0x100000
	SystemSecurity  Mask = 0x1000000
	MaximumAllowed  Mask = 0x2000000
	GenericAll      Mask = 0x10000000
	GenericExecute  Mask = 0x20000000
	GenericWrite    Mask = 0x40000000
	GenericRead     Mask = 0x80000000
)

// What the generic rights mean for files and directories.
const (
	FileGenericRead    = ReadData | ReadEA | ReadAttributes | ReadControl | Synchronize
	FileGenericWrite   = WriteData | AppendData | WriteEA | WriteAttributes | ReadControl | Synchronize
	FileGenericExecute = Execute | ReadAttributes | ReadControl | Synchronize
	FileAll            = FileGenericRead | FileGenericWrite | FileGenericExecute | DeleteChild | Delete | WriteDAC | WriteOwner
)

// The mask bits that stand for each of POSIX's rights.
const (
	maskRead  = ReadData | ReadEA
	maskWrite = WriteData | AppendData | WriteEA | WriteAttributes
	maskExec  = Execute
	maskStat  = ReadAttributes | ReadControl | Synchronize // what everybody has who can reach the object
	maskOwn   = WriteDAC | WriteOwner | WriteAttributes    // what the owner has besides
)

// Valid reports whether a request may ask for m.
func (m Mask) Valid() bool {
	return m&^(FileAll|SystemSecurity|MaximumAllowed|GenericAll|GenericExecute|GenericWrite|GenericRead) == 0
}

// Specific replaces the generic rights by what they mean.
func (m Mask) Specific() Mask {
	for generic, specific := range map[Mask]Mask{GenericAll: FileAll, GenericExecute: FileGenericExecute, GenericWrite: FileGenericWrite, GenericRead: FileGenericRead} {
		if m&generic != 0 {
			m = m&^generic | specific
		}
	}
	return m
}

// Maximal returns all that a caller may do with an object, from causeway.Permit alone. parent are the attributes of the directory
// that holds its name, nil for the root of a volume or if they are not known: then Delete is not in the answer.
//
// Where Windows' rights are finer than POSIX's: who may read a file may Execute it, since he could copy and run it (and programs that
// ask for everything on their own file of mode 0600 get it). Who may write may set attributes. The owner has WriteOwner, by which
// a client sets the group; whether he may give the object away is asked again when he does. Delete is a right on the
// directory, sticky bit included.
func Maximal(cred *causeway.Cred, a, parent *causeway.Attr) Mask {
	got := causeway.Permit(cred, a, causeway.MayRead|causeway.MayWrite|causeway.MayExec)
	dir := a.Type == causeway.TypeDirectory
	m := maskStat
	if got&causeway.MayRead != 0 {
		m |= maskRead
		if !dir {
			m |= maskExec
		}
	}
	if got&causeway.MayWrite != 0 {
		m |= maskWrite
		if dir {
			m |= DeleteChild
		}
	}
	if got&causeway.MayExec != 0 {
		m |= maskExec
	}
	if cred.UID == 0 || cred.UID == a.UID {
		m |= maskOwn
		if cred.UID == 0 {
			m |= maskExec | ReadEA | WriteEA
		}
		if !dir {
			m |= DeleteChild // means nothing for a file, but is part of FileAll
		}
	}
	if parent != nil && mayDelete(cred, a, parent) {
		m |= Delete
	}
	return m
}

func mayDelete(cred *causeway.Cred, a, parent *causeway.Attr) bool {
	const both = causeway.MayWrite | causeway.MayExec
	if causeway.Permit(cred, parent, both) != both {
		return false
	}
	return parent.Mode&causeway.ModeSticky == 0 || cred.UID == 0 || cred.UID == a.UID || cred.UID == parent.UID
}

// Check answers CREATE's question: what an open is granted that asks for desired, given what the caller may do at most.
// AccessDenied; PrivilegeNotHeld for the SACL, which nobody may see. With MaximumAllowed all of it is granted.
func Check(desired, maximal Mask) (Mask, error) {
	if !desired.Valid() {
		return 0, ntstatus.AccessDenied
	}
	want := desired.Specific()
	if want&SystemSecurity != 0 {
		return 0, ntstatus.PrivilegeNotHeld
	}
	if want&MaximumAllowed != 0 {
		want = want&^MaximumAllowed | maximal
	}
	if want&^maximal != 0 {
		return 0, ntstatus.AccessDenied
	}
	return want, nil
}

// Rights returns which of POSIX's rights an open with this mask uses: what has to be asked again of causeway.Permit when bytes move.
func (m Mask) Rights() (r causeway.Rights) {
	m = m.Specific()
	if m&ReadData != 0 {
		r |= causeway.MayRead
	}
	if m&(WriteData|AppendData) != 0 {
		r |= causeway.MayWrite
	}
	if m&Execute != 0 {
		r |= causeway.MayExec
	}
	return r
}

// maskOf returns the mask that shows rights on an object in its DACL.
func maskOf(r causeway.Rights, dir bool) (m Mask) {
	if r&causeway.MayRead != 0 {
		m |= maskRead
	}
	if r&causeway.MayWrite != 0 {
		m |= maskWrite
		if dir {
			m |= DeleteChild
		}
	}
	if r&causeway.MayExec != 0 {
		m |= maskExec
	}
	return m
}
