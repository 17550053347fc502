package rpc

import "io"

// copyChunk is how much of a file is copied at once where it cannot be spliced.
const copyChunk = 64 << 10

// copyFile is port.sendFile for descriptors and systems without sendfile.
func copyFile(p port, s *Server, fd int, off int64, n int) (int, error) {
	buffer := s.pool.Get(copyChunk)
	defer buffer.Release()
	n, err := preadFD(fd, buffer.B[:min(n, copyChunk)], off)
	if n == 0 && (err == nil || err == io.EOF) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return p.write(buffer.B[:n], false)
}
