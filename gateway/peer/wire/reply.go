package wire

import (
	"errors"
	"math"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// Failed makes the reply of a call that failed; of one that did not if err is nil.
func Failed(err error) *peerpb.Reply {
	r := &peerpb.Reply{}
	setError(r, err)
	return r
}

func setError(r *peerpb.Reply, err error) {
	if err == nil {
		return
	}
	r.Code = uint32(causeway.CodeOf(err))
	if _, plain := err.(causeway.Code); plain {
		return
	}
	r.Unknown = errors.Is(err, gateway.ErrUnknown)
	if r.Cause = err.Error(); len(r.Cause) > maxCause {
		r.Cause = r.Cause[:maxCause]
	}
	r.Cause = valid(r.Cause)
}

// valid makes text of what may be none: protobuf refuses other strings.
func valid(s string) string { return string([]rune(s)) }

// Error returns the error that a reply tells.
func Error(r *peerpb.Reply) error {
	switch {
	case r.Unknown:
		return gateway.ErrUnknown
	case r.Code == 0:
		return nil
	case r.Code > math.MaxUint8 || !causeway.Code(r.Code).Known():
		return &causeway.Error{Op: "peer", Code: causeway.ErrServerFault, Err: errors.New("an error that this version does not know")}
	case r.Cause == "":
		return causeway.Code(r.Code)
	}
	return &causeway.Error{Op: "peer", Code: causeway.Code(r.Code), Err: errors.New(r.Cause)}
}

// Result is everything that a reply can tell. A field that the operation does not have is zero.
type Result struct {
	Entry    gateway.Entry // Attr is also the attributes of the object that was asked about
	Dir      causeway.Attr
	Change   causeway.Change
	Change2  causeway.Change
	Target   string
	Rights   causeway.Rights
	EOF      bool
	Stat     causeway.FSStat
	Conflict gateway.Lock
	Grant    *causeway.Grant // of what was made; nil: none came
}

// ReplyOf makes the reply of an operation.
func ReplyOf(r *Result, err error) *peerpb.Reply {
	out := &peerpb.Reply{
		Attr: attr(&r.Entry.Attr), Dir: attr(&r.Dir), Change: change(&r.Change), Change2: change(&r.Change2), Rights: uint32(r.Rights),
		Eof: r.EOF, Conflict: lock(&r.Conflict),
	}
	if !r.Entry.Handle.Object.IsZero() {
		out.Object = object(&r.Entry.Handle.Object)
	}
	if r.Target != "" {
		out.Target = []byte(r.Target)
	}
	if r.Stat != (causeway.FSStat{}) {
		out.Stat = fsStat(&r.Stat)
	}
	if r.Grant != nil {
		out.Grant = grantOf(r.Grant)
	}
	setError(out, err)
	return out
}

// ResultOf returns what a reply about a volume tells. What cannot be understood is ErrServerFault, and whether the operation was
// done is not known then.
func ResultOf(r *peerpb.Reply, v causeway.VolumeID) (Result, error) {
	var d decoder
	out := Result{
		Dir: d.attr(r.Dir), Change: d.change(r.Change), Change2: d.change(r.Change2), Target: d.name(r.Target, maxTarget),
		Rights: causeway.Rights(r.Rights) & 7, EOF: r.Eof, Conflict: d.lock(r.Conflict), Stat: statOf(r.Stat),
	}
	out.Entry.Attr = d.attr(r.Attr)
	if len(r.Object) > 0 {
		out.Entry.Handle = causeway.Handle{Volume: v, Object: d.object(r.Object)}
	}
	if r.Grant != nil {
		g := d.grant(r.Grant, v)
		out.Grant = &g
	}
	if d.bad {
		return Result{}, causeway.ErrServerFault
	}
	return out, Error(r)
}

func fsStat(s *causeway.FSStat) *peerpb.FSStat {
	return &peerpb.FSStat{
		TotalBytes: s.TotalBytes, FreeBytes: s.FreeBytes, AvailBytes: s.AvailBytes, TotalFiles: s.TotalFiles, FreeFiles: s.FreeFiles,
		AvailFiles: s.AvailFiles, BlockSize: s.BlockSize, ReadOnly: s.ReadOnly,
	}
}

func statOf(s *peerpb.FSStat) (out causeway.FSStat) {
	if s == nil {
		return out
	}
	return causeway.FSStat{
		TotalBytes: s.TotalBytes, FreeBytes: s.FreeBytes, AvailBytes: s.AvailBytes, TotalFiles: s.TotalFiles, FreeFiles: s.FreeFiles,
		AvailFiles: s.AvailFiles, BlockSize: s.BlockSize, ReadOnly: s.ReadOnly,
	}
}

// Entries calls emit for the entries of a listing until it returns false. It reports how many were consumed, and the cookie of the
// last of them.
func Entries(r *peerpb.Reply, emit func(*causeway.DirEntry) bool) (consumed int, cookie uint64, err error) {
	if len(r.Entries) > MaxEntries {
		return 0, 0, causeway.ErrServerFault
	}
	var d decoder
	var e causeway.DirEntry
	for i, p := range r.Entries {
		if e = d.dirEntry(p); d.bad {
			return i, cookie, causeway.ErrServerFault
		}
		if !emit(&e) {
			return i, cookie, nil
		}
		cookie = e.Cookie
	}
	return len(r.Entries), cookie, nil
}

func dirEntry(e *causeway.DirEntry) *peerpb.DirEntry {
	p := &peerpb.DirEntry{Name: []byte(e.Name), Cookie: e.Cookie, Fileid: e.FileID, Type: uint32(e.Type), Attr: attr(&e.Attr)}
	if !e.Object.IsZero() {
		p.Object = object(&e.Object)
	}
	return p
}

func (d *decoder) dirEntry(p *peerpb.DirEntry) causeway.DirEntry {
	d.check(p.GetType() <= uint32(causeway.TypeFIFO))
	return causeway.DirEntry{
		Name: d.name(p.GetName(), causeway.MaxName), Cookie: p.GetCookie(), FileID: p.GetFileid(), Type: causeway.FileType(p.GetType()),
		Object: d.object(p.GetObject()), Attr: d.attr(p.GetAttr()),
	}
}

// Locks returns the locks that a reply lists.
func Locks(r *peerpb.Reply) ([]gateway.Lock, error) {
	var d decoder
	if !d.check(len(r.Locks) <= maxLocks) {
		return nil, causeway.ErrServerFault
	}
	out := make([]gateway.Lock, len(r.Locks))
	for i, l := range r.Locks {
		out[i] = d.lock(l)
	}
	if d.bad {
		return nil, causeway.ErrServerFault
	}
	return out, nil
}
