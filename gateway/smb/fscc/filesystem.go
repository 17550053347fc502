package fscc

import (
	"causeway"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

// The FILE_ bits of a FILE_FS_ATTRIBUTE_INFORMATION ([MS-FSCC] 2.5.1).
const (
	FSCaseSensitive   uint32 = 0x1
	FSCasePreserved   uint32 = 0x2
	FSUnicode         uint32 = 0x4
	FSPersistentACLs  uint32 = 0x8
	FSSparseFiles     uint32 = 0x40
	FSReparsePoints   uint32 = 0x80
	FSNamedStreams    uint32 = 0x40000
	FSReadOnly        uint32 = 0x80000
	FSHardLinks       uint32 = 0x400000
	FSExtendedAttrs   uint32 = 0x800000
	FSOpenByFileID    uint32 = 0x1000000
	FSBlockRefcount   uint32 = 0x8000000
	deviceDisk        uint32 = 0x7
	deviceIsMounted   uint32 = 0x20
	deviceIsRemote    uint32 = 0x10
	deviceReadOnly    uint32 = 0x2
	sectorSize        uint32 = 512
	sectorAligned     uint32 = 0x1
	partitionAligned  uint32 = 0x2
	defaultQuotaLimit uint64 = 1<<64 - 1
)

// FileSystem is a volume, as QUERY_INFO tells of it. Units of allocation are Stat.BlockSize, 4096 if that is no multiple of 512.
type FileSystem struct {
	Label      string
	Type       string // what clients take it for; "NTFS" makes Windows use everything
	Created    causeway.Time
	Volume     causeway.VolumeID
	Stat       causeway.FSStat
	Attributes uint32 // FS bits; FSReadOnly is added for storage that is
}

// Serial returns the volume's serial number as old interfaces know it, the same at all gateways.
func (f *FileSystem) Serial() uint32 { return uint32(f.Volume) ^ uint32(f.Volume>>32) }

var fsSizes = map[FSClass]int{
	FSVolumeInformation: 24, FSSizeInformation: 24, FSDeviceInformation: 8, FSAttributeInformation: 16, FSControlInformation: 48,
	FSFullSizeInformation: 32, FSObjectIDInformation: 64, FSSectorSizeInformation: 28,
}

// AppendFS appends what a QUERY_INFO for class answers, at most max bytes ([MS-SMB2] 3.3.5.20.2). BufferOverflow: a label or type
// was cut. Nothing is appended with InfoLengthMismatch and InvalidInfoClass.
func AppendFS(dst []byte, class FSClass, f *FileSystem, max int) ([]byte, error) {
	size, ok := fsSizes[class]
	if !ok {
		return dst, ntstatus.InvalidInfoClass
	}
	if max < size {
		return dst, ntstatus.InfoLengthMismatch
	}
	limit := len(dst) + max
	unit, sectors := f.unit()
	switch class {
	case FSVolumeInformation:
		return f.appendVolume(dst, limit)
	case FSAttributeInformation:
		return f.appendAttributes(dst, limit)
	case FSSizeInformation:
		dst = le.AppendUint64(dst, f.Stat.TotalBytes/unit)
		dst = le.AppendUint64(dst, f.Stat.AvailBytes/unit)
		dst = le.AppendUint32(le.AppendUint32(dst, sectors), sectorSize)
	case FSFullSizeInformation:
		dst = le.AppendUint64(dst, f.Stat.TotalBytes/unit)
		dst = le.AppendUint64(dst, f.Stat.AvailBytes/unit)
		dst = le.AppendUint64(dst, f.Stat.FreeBytes/unit)
		dst = le.AppendUint32(le.AppendUint32(dst, sectors), sectorSize)
	case FSDeviceInformation:
		flags := deviceIsMounted
		if f.Stat.ReadOnly {
			flags |= deviceReadOnly
		}
		dst = le.AppendUint32(le.AppendUint32(dst, deviceDisk), flags)
	case FSControlInformation:
		dst = append(dst, make([]byte, 24)...)
		dst = le.AppendUint64(le.AppendUint64(dst, defaultQuotaLimit), defaultQuotaLimit)
		dst = append(dst, make([]byte, 8)...)
	case FSObjectIDInformation:
		id := [64]byte{}
		copy(id[:], "causeway")
		le.PutUint64(id[8:], uint64(f.Volume))
		dst = append(dst, id[:]...)
	case FSSectorSizeInformation:
		for _, n := range []uint32{sectorSize, uint32(unit), uint32(unit), uint32(unit), sectorAligned | partitionAligned, 0, 0} {
			dst = le.AppendUint32(dst, n)
		}
	}
	return dst, nil
}

// unit returns the allocation unit in bytes and sectors.
func (f *FileSystem) unit() (bytes uint64, sectors uint32) {
	n := f.Stat.BlockSize
	if n < sectorSize || n%sectorSize != 0 {
		n = 4096
	}
	return uint64(n), n / sectorSize
}

func (f *FileSystem) appendVolume(dst []byte, limit int) ([]byte, error) {
	label := names.AppendString(nil, f.Label)
	dst = appendTime(dst, f.Created)
	dst = le.AppendUint32(dst, f.Serial())
	dst = le.AppendUint32(dst, uint32(len(label)))
	dst = append(dst, 0, 0) // no objects for a file system filter, reserved
	if room := limit - len(dst); room < len(label) {
		return append(dst, label[:room&^1]...), ntstatus.BufferOverflow
	}
	return append(dst, label...), nil
}

func (f *FileSystem) appendAttributes(dst []byte, limit int) ([]byte, error) {
	flags := f.Attributes
	if f.Stat.ReadOnly {
		flags |= FSReadOnly
	}
	dst = le.AppendUint32(dst, flags)
	dst = le.AppendUint32(dst, names.MaxUnits)
	return appendName(dst, limit, names.AppendString(nil, f.Type))
}
