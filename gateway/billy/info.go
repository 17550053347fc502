package billy

import (
	"os"
	"time"

	"causeway"
)

// info is attributes as an os.FileInfo; Sys returns them as *causeway.Attr.
type info struct {
	name string
	attr causeway.Attr
}

func infoOf(name string, a causeway.Attr) os.FileInfo { return &info{name, a} }

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return int64(min(i.attr.Size, 1<<63-1)) }
func (i *info) ModTime() time.Time { return i.attr.Mtime.Std() }
func (i *info) IsDir() bool        { return i.attr.Type == causeway.TypeDirectory }
func (i *info) Sys() any           { return &i.attr }

var types = map[causeway.FileType]os.FileMode{
	causeway.TypeDirectory: os.ModeDir, causeway.TypeSymlink: os.ModeSymlink, causeway.TypeBlock: os.ModeDevice,
	causeway.TypeChar: os.ModeDevice | os.ModeCharDevice, causeway.TypeSocket: os.ModeSocket, causeway.TypeFIFO: os.ModeNamedPipe,
}

var bits = []struct {
	bit uint32
	os  os.FileMode
}{{causeway.ModeSetUID, os.ModeSetuid}, {causeway.ModeSetGID, os.ModeSetgid}, {causeway.ModeSticky, os.ModeSticky}}

// Mode returns type and permissions.
func (i *info) Mode() os.FileMode {
	m := os.FileMode(i.attr.Mode&causeway.ModePerm) | types[i.attr.Type]
	for _, b := range bits {
		if i.attr.Mode&b.bit != 0 {
			m |= b.os
		}
	}
	return m
}

// modeOf takes the mode bits out of an os.FileMode.
func modeOf(m os.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, b := range bits {
		if m&b.os != 0 {
			mode |= b.bit
		}
	}
	return mode
}
