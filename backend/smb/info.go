package smb

import (
	"os"
	"time"

	"github.com/cloudsoda/go-smb2"
)

// info is what the server tells of an object. It implements os.FileInfo, and is its own Sys.
type info struct {
	name    string
	size    int64
	mode    os.FileMode
	written time.Time
	born    time.Time
	number  uint64 // 0: the server has none
}

// attrReadOnly is FILE_ATTRIBUTE_READONLY ([MS-FSCC] 2.6); attrReparse marks links and whatever else Windows keeps there.
const (
	attrReadOnly  = 0x1
	attrDirectory = 0x10
	attrReparse   = 0x400
)

// infoOf gives an object the modes that Config says.
func (s *share) infoOf(name string, f *smb2.FileStat) info {
	i := info{name: name, size: f.EndOfFile, written: f.LastWriteTime, born: f.CreationTime, number: f.FileId}
	switch {
	case f.FileAttributes&attrReparse != 0:
		i.mode = os.ModeSymlink | 0o777
	case f.FileAttributes&attrDirectory != 0:
		i.mode = os.ModeDir | os.FileMode(s.cfg.DirMode) // for a directory the attribute means something else
	default:
		i.mode = os.FileMode(s.cfg.FileMode)
		if f.FileAttributes&attrReadOnly != 0 {
			i.mode &^= 0o222
		}
	}
	return i
}

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return i.size }
func (i *info) Mode() os.FileMode  { return i.mode }
func (i *info) ModTime() time.Time { return i.written }
func (i *info) IsDir() bool        { return i.mode.IsDir() }
func (i *info) Sys() any           { return i }

// Identity implements billyfs.Identified.
func (i *info) Identity() (uint64, time.Time) { return i.number, i.born }
