package fscc

import "causeway/gateway/smb/ntstatus"

// File is an open file or directory, as QUERY_INFO tells of it.
type File struct {
	Object
	DeletePending bool
	Granted       uint32 // the open's access mask
	Position      uint64
	Mode          uint32 // FILE_ create options of the open that FILE_MODE_INFORMATION has
	Volume        uint64 // serial number, for FileIdInformation
	ID128         [16]byte
	Path          []byte // from the share's root, with a first "\", UTF-16LE
	Short         []byte // the short name, UTF-16LE; empty: none
}

// fileSizes holds the fixed part of each class that can be queried: a client that offers less gets InfoLengthMismatch. Those whose
// structure ends in a name count as C does, with padding.
var fileSizes = map[FileClass]int{
	FileBasicInformation: 40, FileStandardInformation: 24, FileInternalInformation: 8, FileEaInformation: 4, FileAccessInformation: 4,
	FileNameInformation: 8, FilePositionInformation: 8, FileFullEaInformation: 0, FileModeInformation: 4, FileAlignmentInformation: 4,
	FileAllInformation: 104, FileAlternateNameInformation: 8, FileStreamInformation: 32, FileCompressionInformation: 16,
	FileNetworkOpenInformation: 56, FileAttributeTagInformation: 8, FileNormalizedNameInformation: 8, FileIDInformation: 24,
}

// AppendFile appends what a QUERY_INFO for class answers, at most max bytes ([MS-SMB2] 3.3.5.20.1, [MS-FSA] 2.1.5.12).
//
// BufferOverflow: what fits of a name or a list of streams was appended. Nothing is appended with InfoLengthMismatch (max is less
// than the class's fixed part), InvalidInfoClass (only for setting, or unknown), NotSupported, ObjectNameNotFound (there are no
// short names) and NoEAsOnFile.
func AppendFile(dst []byte, class FileClass, f *File, max int) ([]byte, error) {
	size, ok := fileSizes[class]
	if !ok {
		return dst, unknownFileClass(class)
	}
	if max < size {
		return dst, ntstatus.InfoLengthMismatch
	}
	start := len(dst)
	switch class {
	case FileBasicInformation:
		dst = le.AppendUint32(f.appendBasic(dst), 0)
	case FileStandardInformation:
		dst = f.appendStandard(dst)
	case FileInternalInformation:
		dst = le.AppendUint64(dst, f.FileID)
	case FileEaInformation:
		dst = le.AppendUint32(dst, f.EASize)
	case FileAccessInformation:
		dst = le.AppendUint32(dst, f.Granted)
	case FilePositionInformation:
		dst = le.AppendUint64(dst, f.Position)
	case FileModeInformation:
		dst = le.AppendUint32(dst, f.Mode)
	case FileAlignmentInformation:
		dst = le.AppendUint32(dst, 0) // FILE_BYTE_ALIGNMENT
	case FileCompressionInformation:
		dst = append(le.AppendUint64(dst, f.compressedSize()), make([]byte, 8)...)
	case FileNetworkOpenInformation:
		dst = le.AppendUint64(f.appendTimes(dst), f.Allocation)
		dst = le.AppendUint64(dst, f.EndOfFile)
		dst = le.AppendUint32(le.AppendUint32(dst, uint32(f.Attributes)), 0)
	case FileAttributeTagInformation:
		dst = le.AppendUint32(le.AppendUint32(dst, uint32(f.Attributes)), f.ReparseTag)
	case FileIDInformation:
		dst = append(le.AppendUint64(dst, f.Volume), f.ID128[:]...)
	case FileNameInformation, FileNormalizedNameInformation:
		path := f.Path
		if class == FileNormalizedNameInformation && len(path) >= 2 {
			path = path[2:] // [MS-FSCC] 2.4.30: no "\" in front
		}
		return appendName(dst, start+max, path)
	case FileAllInformation:
		return f.appendAll(dst, start+max)
	case FileStreamInformation:
		return f.appendStreams(dst, max)
	case FileAlternateNameInformation:
		if len(f.Short) == 0 {
			return dst, ntstatus.ObjectNameNotFound
		}
		return appendName(dst, start+max, f.Short)
	case FileFullEaInformation:
		return dst, ntstatus.NoEAsOnFile
	}
	return dst, nil
}

func unknownFileClass(class FileClass) error {
	switch class {
	case FileObjectIDInformation, FileQuotaInformation, FileReparsePointInformation, FilePipeInformation, FilePipeLocalInformation:
		return ntstatus.NotSupported
	}
	return ntstatus.InvalidInfoClass
}

// compressedSize is the space of a file of which nothing is compressed.
func (f *File) compressedSize() uint64 {
	if f.Directory() {
		return 0
	}
	return f.EndOfFile
}

// appendStandard appends a FILE_STANDARD_INFORMATION ([MS-FSCC] 2.4.41). A link that is about to go does not count.
func (f *File) appendStandard(dst []byte) []byte {
	links := f.Links
	if f.Directory() {
		links = 1
	}
	if f.DeletePending && links > 0 {
		links--
	}
	dst = le.AppendUint64(dst, f.Allocation)
	dst = le.AppendUint64(dst, f.EndOfFile)
	dst = le.AppendUint32(dst, links)
	return append(dst, flag(f.DeletePending), flag(f.Directory()), 0, 0)
}

func (f *File) appendAll(dst []byte, limit int) ([]byte, error) {
	dst = le.AppendUint32(f.appendBasic(dst), 0)
	dst = f.appendStandard(dst)
	dst = le.AppendUint64(dst, f.FileID)
	dst = le.AppendUint32(dst, f.EASize)
	dst = le.AppendUint32(dst, f.Granted)
	dst = le.AppendUint64(dst, f.Position)
	dst = le.AppendUint32(dst, f.Mode)
	dst = le.AppendUint32(dst, 0)
	return appendName(dst, limit, f.Path)
}

// defaultStream is "::$DATA" in UTF-16LE.
var defaultStream = []byte(":\x00:\x00$\x00D\x00A\x00T\x00A\x00")

// appendStreams appends the list of streams ([MS-FSCC] 2.4.44): the default one of a file, none of a directory.
func (f *File) appendStreams(dst []byte, max int) ([]byte, error) {
	if f.Directory() {
		return dst, nil
	}
	if max < 24+len(defaultStream) {
		return dst, ntstatus.BufferOverflow // no entry is ever cut
	}
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, uint32(len(defaultStream)))
	dst = le.AppendUint64(dst, f.EndOfFile)
	dst = le.AppendUint64(dst, f.Allocation)
	return append(dst, defaultStream...), nil
}

// appendName appends a length and a name; the length is the whole name's, also when only the part up to limit fits.
func appendName(dst []byte, limit int, name []byte) ([]byte, error) {
	dst = le.AppendUint32(dst, uint32(len(name)))
	if room := limit - len(dst); room < len(name) {
		return append(dst, name[:max(room, 0)&^1]...), ntstatus.BufferOverflow
	}
	return append(dst, name...), nil
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
