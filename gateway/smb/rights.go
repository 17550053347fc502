package smb

import (
	"causeway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// Sets of access rights.
const (
	accessChanges  = wire.AccessWriteData | wire.AccessAppendData | wire.AccessWriteEA | wire.AccessWriteAttributes | wire.AccessDeleteChild | wire.AccessDelete | wire.AccessWriteDAC | wire.AccessWriteOwner
	accessReadOnly = wire.AccessAll &^ accessChanges
	accessOfPipe   = 0x0011ff & wire.AccessAll
	accessAlways   = wire.AccessReadAttributes | wire.AccessReadControl | wire.AccessReadEA | wire.AccessSynchronize
	accessKnown    = wire.AccessAll | wire.AccessSystemSecurity | wire.AccessMaximum | wire.AccessGenericAll | wire.AccessGenericExecute | wire.AccessGenericWrite | wire.AccessGenericRead
)

// mapGeneric replaces generic rights by those that they stand for ([MS-SMB2] 2.2.13.1.1).
func mapGeneric(access uint32) uint32 {
	for _, g := range [...]struct{ from, to uint32 }{
		{wire.AccessGenericRead, 0x00120089}, {wire.AccessGenericWrite, 0x00120116},
		{wire.AccessGenericExecute, 0x001200a0}, {wire.AccessGenericAll, wire.AccessAll},
	} {
		if access&g.from != 0 {
			access = access&^g.from | g.to
		}
	}
	return access
}

// grantable are the rights that a user can have on an object: what causeway.Permit gives him, in words of Windows. parent is nil for
// the root of a share, which nobody deletes.
func grantable(cred *causeway.Cred, a, parent *causeway.Attr, readOnly bool) uint32 {
	have := accessAlways
	got := causeway.Permit(cred, a, causeway.MayRead|causeway.MayWrite|causeway.MayExec)
	if got&causeway.MayRead != 0 {
		have |= wire.AccessReadData
	}
	if got&causeway.MayWrite != 0 {
		have |= wire.AccessWriteData | wire.AccessAppendData | wire.AccessWriteEA | wire.AccessWriteAttributes
		if a.Type == causeway.TypeDirectory && got&causeway.MayExec != 0 {
			have |= wire.AccessDeleteChild
		}
	}
	if got&causeway.MayExec != 0 {
		have |= wire.AccessExecute
	}
	if cred.UID == 0 || cred.UID == a.UID {
		have |= wire.AccessWriteAttributes | wire.AccessWriteDAC | wire.AccessWriteOwner | wire.AccessWriteEA
	}
	if parent != nil && mayDelete(cred, a, parent) {
		have |= wire.AccessDelete
	}
	if readOnly {
		have &^= accessChanges
	}
	return have
}

// mayDelete: who may change the directory, and in a sticky one owns it or the object.
func mayDelete(cred *causeway.Cred, a, parent *causeway.Attr) bool {
	const change = causeway.MayWrite | causeway.MayExec
	if causeway.Permit(cred, parent, change) != change {
		return false
	}
	return parent.Mode&causeway.ModeSticky == 0 || cred.UID == 0 || cred.UID == a.UID || cred.UID == parent.UID
}

// settle decides what an open gets of what it asks for: all, or AccessDenied.
func settle(asked, have uint32) (uint32, error) {
	if asked&wire.AccessSystemSecurity != 0 {
		return 0, privilegeNotHeld
	}
	if asked&wire.AccessMaximum != 0 {
		asked = asked&^wire.AccessMaximum | have
	}
	if asked&^have != 0 {
		return 0, ntstatus.AccessDenied
	}
	return asked, nil
}

const privilegeNotHeld ntstatus.Status = 0xc0000061
