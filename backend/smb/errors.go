package smb

import (
	"errors"
	"os"
	"syscall"

	"github.com/cloudsoda/go-smb2"

	"causeway"
)

// codes are the statuses ([MS-ERREF] 2.3.1) that mean something to clients of the volume. What the library turns into errors of package
// os is not among them.
var codes = map[uint32]causeway.Code{
	0xc000000d: causeway.ErrInval,    // INVALID_PARAMETER
	0xc0000022: causeway.ErrAccess,   // ACCESS_DENIED
	0xc0000033: causeway.ErrBadName,  // OBJECT_NAME_INVALID
	0xc000003b: causeway.ErrBadName,  // OBJECT_PATH_SYNTAX_BAD
	0xc0000043: causeway.ErrSharing,  // SHARING_VIOLATION
	0xc0000044: causeway.ErrDQuot,    // QUOTA_EXCEEDED
	0xc0000054: causeway.ErrLocked,   // FILE_LOCK_CONFLICT
	0xc0000056: causeway.ErrNoEnt,    // DELETE_PENDING: gone with its last handle
	0xc000007f: causeway.ErrNoSpc,    // DISK_FULL
	0xc000009a: causeway.ErrDelay,    // INSUFFICIENT_RESOURCES
	0xc00000a2: causeway.ErrROFS,     // MEDIA_WRITE_PROTECTED
	0xc00000ba: causeway.ErrIsDir,    // FILE_IS_A_DIRECTORY
	0xc00000bb: causeway.ErrNotSupp,  // NOT_SUPPORTED
	0xc00000d4: causeway.ErrXDev,     // NOT_SAME_DEVICE
	0xc0000101: causeway.ErrNotEmpty, // DIRECTORY_NOT_EMPTY
	0xc0000103: causeway.ErrNotDir,   // NOT_A_DIRECTORY
	0xc0000106: causeway.ErrBadName,  // NAME_TOO_LONG
	0xc0000010: causeway.ErrNotSupp,  // INVALID_DEVICE_REQUEST
	0xc0000121: causeway.ErrAccess,   // CANNOT_DELETE
	0xc000011f: causeway.ErrDelay,    // TOO_MANY_OPENED_FILES
	0xc0000904: causeway.ErrFBig,     // FILE_TOO_LARGE
	0xc0000467: causeway.ErrDelay,    // FILE_NOT_AVAILABLE
	0xc000a203: causeway.ErrLoop,     // REPARSE_POINT_NOT_RESOLVED
}

// sessionEnded are the statuses that end a session, a tree connect or an open: all is well with the next ones.
func sessionEnded(status uint32) bool {
	switch status {
	case 0xc00000c9, // NETWORK_NAME_DELETED
		0xc0000203, // USER_SESSION_DELETED
		0xc000035c, // NETWORK_SESSION_EXPIRED
		0xc000020c, // CONNECTION_DISCONNECTED
		0xc0000128: // FILE_CLOSED
		return true
	}
	return false
}

// failed gives an error of the server its code. What does not exist stays an error that os.IsNotExist knows.
func failed(op string, err error) error {
	var said *smb2.ResponseError
	var code causeway.Code
	var full *causeway.Error
	switch {
	case err == nil, errors.As(err, &code), errors.As(err, &full):
		return err
	case errors.As(err, &said):
		code, known := codes[said.Code]
		if !known {
			code = causeway.ErrIO
		}
		if code == causeway.ErrNoEnt {
			return &os.PathError{Op: op, Err: syscall.ENOENT}
		}
		return &causeway.Error{Op: op, Code: code, Err: err}
	case errors.Is(err, os.ErrNotExist):
		return &os.PathError{Op: op, Err: syscall.ENOENT}
	case errors.Is(err, os.ErrExist):
		return &os.PathError{Op: op, Err: syscall.EEXIST}
	case errors.Is(err, os.ErrPermission):
		return &causeway.Error{Op: op, Code: causeway.ErrAccess, Err: err}
	}
	return &causeway.Error{Op: op, Code: causeway.ErrIO, Err: err}
}
