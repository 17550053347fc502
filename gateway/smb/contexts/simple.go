package contexts

import (
	"causeway/gateway/smb/ntstatus"
)

// DecodeAllocationSize reads an AlSi: bytes to reserve. InvalidParameter if it is negative.
func DecodeAllocationSize(b []byte) (uint64, error) {
	if err := exactly(b, 8); err != nil {
		return 0, err
	}
	if b[7] >= 0x80 {
		return 0, ntstatus.InvalidParameter
	}
	return le.Uint64(b), nil
}

// DecodeMaximalAccess reads an MxAc: the change time (FILETIME) that the client knows; if the object's is the same, the answer may leave
// the mask out. Zero if it sent none.
func DecodeMaximalAccess(b []byte) (uint64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := exactly(b, 8); err != nil {
		return 0, err
	}
	return le.Uint64(b), nil
}

// MaximalAccessAnswer is the answer to an MxAc ([MS-SMB2] 2.2.14.2.5).
func MaximalAccessAnswer(status ntstatus.Status, mask uint32) Context {
	return Context{MaximalAccess, le.AppendUint32(le.AppendUint32(nil, uint32(status)), mask)}
}

// OnDiskIDAnswer is the answer to a QFid: 32 bytes that clients compare. cifs.ko takes the first eight for the inode number
// ([MS-SMB2] 2.2.14.2.9).
func OnDiskIDAnswer(fileID, volume uint64) Context {
	b := le.AppendUint64(le.AppendUint64(make([]byte, 0, 32), fileID), volume)
	return Context{QueryOnDiskID, append(b, make([]byte, 16)...)}
}

// DecodeTimewarp reads a TWrp: the FILETIME of a snapshot.
func DecodeTimewarp(b []byte) (int64, error) {
	if err := exactly(b, 8); err != nil {
		return 0, err
	}
	return int64(le.Uint64(b)), nil
}
