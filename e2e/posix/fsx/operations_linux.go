package fsx

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// span returns a random range that ends within limit; it is often short and sometimes whole pages.
func (x *exerciser) span(limit int) (offset, length int) {
	if limit == 0 {
		return 0, 0
	}
	offset = x.random.IntN(limit)
	switch x.random.IntN(4) {
	case 0:
		length = 1 + x.random.IntN(100)
	case 1:
		offset &^= os.Getpagesize() - 1
		length = os.Getpagesize() * (1 + x.random.IntN(4))
	default:
		length = 1 + x.random.IntN(64<<10)
	}
	return offset, min(length, limit-offset)
}

func (x *exerciser) bytes(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(x.random.Uint32())
	}
	return data
}

// put changes the model as a write does.
func (x *exerciser) put(data []byte, offset int) {
	x.resize(max(len(x.model), offset+len(data)))
	copy(x.model[offset:], data)
}

func (x *exerciser) resize(size int) {
	if size <= len(x.model) {
		x.model = x.model[:size]
		return
	}
	x.model = append(x.model, make([]byte, size-len(x.model))...)
}

func (x *exerciser) read() (string, error) {
	offset, length := x.span(len(x.model))
	detail := fmt.Sprintf("%#x +%#x", offset, length)
	data := make([]byte, length)
	n, err := unix.Pread(x.fd, data, int64(offset))
	if err != nil {
		return detail, err
	}
	if n != length {
		return detail, fmt.Errorf("got %d bytes of a file of %d", n, len(x.model))
	}
	return detail, x.compare(data, offset)
}

func (x *exerciser) write() (string, error) {
	offset, length := x.span(x.config.MaxSize)
	return x.writeAt(x.bytes(length), offset)
}

func (x *exerciser) writeAt(data []byte, offset int) (string, error) {
	detail := fmt.Sprintf("%#x +%#x of %#x", offset, len(data), len(x.model))
	n, err := unix.Pwrite(x.fd, data, int64(offset))
	if err == nil && n != len(data) {
		err = fmt.Errorf("wrote %d bytes", n)
	}
	x.put(data, offset)
	return detail, err
}

func (x *exerciser) append() (string, error) {
	room := x.config.MaxSize - len(x.model)
	return x.writeAt(x.bytes(min(room, 1+x.random.IntN(10000))), len(x.model))
}

// rewriteZero writes zeroes, which some storage turns into holes.
func (x *exerciser) rewriteZero() (string, error) {
	offset, length := x.span(x.config.MaxSize)
	return x.writeAt(make([]byte, length), offset)
}

func (x *exerciser) truncate() (string, error) {
	size := x.random.IntN(x.config.MaxSize + 1)
	detail := fmt.Sprintf("%#x to %#x", len(x.model), size)
	var err error
	if x.random.IntN(2) == 0 {
		err = unix.Truncate(x.path, int64(size))
	} else {
		err = unix.Ftruncate(x.fd, int64(size))
	}
	x.resize(size)
	return detail, err
}

// mapping maps the pages of a range and returns the range in it.
func (x *exerciser) mapping(offset, length, protection int) (data []byte, unmap func() error, err error) {
	start := offset &^ (os.Getpagesize() - 1)
	whole, err := unix.Mmap(x.fd, int64(start), offset-start+length, protection, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return whole[offset-start:], func() error { return unix.Munmap(whole) }, nil
}

func (x *exerciser) mapRead() (string, error) {
	offset, length := x.span(len(x.model))
	if length == 0 || x.config.NoMmap {
		return "nothing", nil
	}
	detail := fmt.Sprintf("%#x +%#x", offset, length)
	data, unmap, err := x.mapping(offset, length, unix.PROT_READ)
	if err != nil {
		return detail, err
	}
	if err := x.compare(data, offset); err != nil {
		return detail, err
	}
	return detail, unmap()
}

// mapWrite writes through a mapping, beyond the end too: the file is extended before, since mappings cannot do it.
func (x *exerciser) mapWrite() (string, error) {
	offset, length := x.span(x.config.MaxSize)
	if length == 0 || x.config.NoMmap {
		return "nothing", nil
	}
	detail := fmt.Sprintf("%#x +%#x of %#x", offset, length, len(x.model))
	if offset+length > len(x.model) {
		if err := unix.Ftruncate(x.fd, int64(offset+length)); err != nil {
			return detail, fmt.Errorf("extend: %w", err)
		}
		x.resize(offset + length)
	}
	data, unmap, err := x.mapping(offset, length, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return detail, err
	}
	content := x.bytes(length)
	copy(data, content)
	x.put(content, offset)
	return detail, unmap()
}

func (x *exerciser) sync() (string, error) { return "", unix.Fsync(x.fd) }

// reopen closes the file and verifies all of it through a new descriptor.
func (x *exerciser) reopen() (string, error) {
	if err := unix.Close(x.fd); err != nil {
		return "close", err
	}
	fd, err := unix.Open(x.path, unix.O_RDWR, 0)
	if err != nil {
		return "open", err
	}
	x.fd = fd
	return fmt.Sprintf("%#x", len(x.model)), x.verify()
}

func (x *exerciser) stat() (string, error) {
	var st unix.Stat_t
	err := unix.Fstat(x.fd, &st)
	if err == nil && st.Size != int64(len(x.model)) {
		err = fmt.Errorf("size %d, want %d", st.Size, len(x.model))
	}
	return "", err
}
