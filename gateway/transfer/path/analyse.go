package path

import (
	"context"
	"errors"
	"syscall"

	"causeway"
)

// Analyse implements Policy: by the errno where the storage gave one, else by the code.
func (Default) Analyse(f *Failure) Verdict {
	if !f.Path.Here() {
		return elsewhere(f)
	}
	var e syscall.Errno
	if errors.As(f.Err, &e) {
		if v, known := byErrno(e); known {
			return v
		}
	}
	if errors.Is(f.Err, context.Canceled) || errors.Is(f.Err, context.DeadlineExceeded) {
		return Verdict{Action: Answer}
	}
	return byCode(f)
}

// byErrno knows what tells more than its code does.
func byErrno(e syscall.Errno) (v Verdict, known bool) {
	switch e {
	case syscall.ETIMEDOUT, syscall.ENOTCONN, syscall.ESHUTDOWN, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENETDOWN,
		syscall.ENETUNREACH, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.ECONNABORTED: // the way to the storage
		return Verdict{OtherPath, true}, true
	case syscall.EINTR, syscall.EAGAIN, syscall.ENOMEM, syscall.ENOBUFS: // short for a moment
		return Verdict{Action: Here}, true
	case syscall.EMFILE, syscall.ENFILE: // of this process, and not soon over
		return Verdict{Action: OtherGateway}, true
	case syscall.EBADMSG: // the medium: no path reads it better
		return Verdict{Action: Answer}, true
	}
	return Verdict{}, false
}

func byCode(f *Failure) Verdict {
	switch f.Code() {
	case causeway.ErrIO, causeway.ErrNXIO, causeway.ErrNoDev: // one bad block, or all of it: a probe tells
		return Verdict{OtherPath, true}
	case causeway.ErrStale: // the file is gone, or the file system is
		return Verdict{Ask, true}
	case causeway.ErrROFS: // of the volume; or of this machine's mount, which turned read-only after an error
		if f.Op != Read {
			return Verdict{Action: OtherGateway}
		}
	case causeway.ErrMoved: // no path of its own at this moment
		return Verdict{Action: OtherGateway}
	}
	return Verdict{Action: Answer} // full, over quota, no right, too late: the storage or the grant says so, to everybody
}

// elsewhere is about what another gateway answered. What its path is worth it finds out itself.
func elsewhere(f *Failure) Verdict {
	switch f.Code() {
	case causeway.ErrMoved, causeway.ErrClosed, causeway.ErrIO, causeway.ErrNXIO, causeway.ErrNoDev, causeway.ErrROFS:
		return Verdict{Action: OtherPath}
	case causeway.ErrStaleEpoch: // one of both knows a later one
		return Verdict{Action: Here}
	}
	return Verdict{Action: Answer}
}
