package client

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/client/clientpb"
)

// info implements fs.FileInfo.
type info struct {
	name string
	attr *clientpb.Attr
}

func newInfo(name string, a *clientpb.Attr) *info {
	if a == nil {
		a = &clientpb.Attr{}
	}
	return &info{name, a}
}

// base is the last element of a name; "." of the root.
func base(name string) string { return path.Base(strings.TrimPrefix(path.Clean("/"+name), "/")) }

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return int64(min(i.attr.Size, 1<<63-1)) }
func (i *info) IsDir() bool        { return i.Mode().IsDir() }
func (i *info) ModTime() time.Time { return time.Unix(i.attr.MtimeSec, int64(i.attr.MtimeNsec)) }

// Sys returns the *clientpb.Attr with what else is known: owners, links, the number of the file.
func (i *info) Sys() any { return i.attr }

// modes are io/fs's bits of each type.
var modes = map[causeway.FileType]fs.FileMode{
	causeway.TypeDirectory: fs.ModeDir, causeway.TypeSymlink: fs.ModeSymlink, causeway.TypeBlock: fs.ModeDevice,
	causeway.TypeChar: fs.ModeDevice | fs.ModeCharDevice, causeway.TypeSocket: fs.ModeSocket, causeway.TypeFIFO: fs.ModeNamedPipe,
}

// modeBits are those beside the permissions.
var modeBits = map[uint32]fs.FileMode{causeway.ModeSetUID: fs.ModeSetuid, causeway.ModeSetGID: fs.ModeSetgid, causeway.ModeSticky: fs.ModeSticky}

func (i *info) Mode() fs.FileMode {
	m := fs.FileMode(i.attr.Mode&causeway.ModePerm) | modes[causeway.FileType(i.attr.Type)]
	for bit, mode := range modeBits {
		if i.attr.Mode&bit != 0 {
			m |= mode
		}
	}
	return m
}

func sortEntries(list []fs.DirEntry) {
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
}
