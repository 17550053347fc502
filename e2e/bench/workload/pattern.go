package workload

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

const (
	bulk  = 1 << 20
	small = 4 << 10
	// period is how often file contents repeat: no multiple of any block, so that data from a wrong place is noticed.
	period = bulk + small + 13
)

// pattern is what all files hold: the byte at an offset is pattern[offset % period].
var pattern = makePattern()

func makePattern() []byte {
	p := make([]byte, period+bulk)
	source := rand.NewChaCha8([32]byte{'c', 'a', 'u', 's', 'e', 'w', 'a', 'y'})
	source.Read(p[:period])
	copy(p[period:], p)
	return p
}

// at returns the n ≤ bulk bytes that belong at an offset.
func at(offset int64, n int) []byte { return pattern[offset%period:][:n] }

// check compares what was read at an offset: all of it, or its ends only.
func check(data []byte, offset int64, all bool) error {
	want := at(offset, len(data))
	equal := bytes.Equal(data, want)
	if !all && len(data) > 2*small {
		n := len(data) - small
		equal = bytes.Equal(data[:small], want[:small]) && bytes.Equal(data[n:], want[n:])
	}
	if !equal {
		return fmt.Errorf("wrong data in the %d bytes at %d", len(data), offset)
	}
	return nil
}

// writeFile makes a file of size bytes of the pattern.
func writeFile(name string, size int64) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	for offset := int64(0); offset < size && err == nil; offset += bulk {
		_, err = file.WriteAt(at(offset, int(min(bulk, size-offset))), offset)
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}

// checkFile compares a whole file with the pattern.
func checkFile(name string, size int64) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, bulk)
	var offset int64
	for {
		n, err := io.ReadFull(file, buf)
		if err := check(buf[:n], offset, true); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if offset += int64(n); err != nil {
			break
		}
	}
	if offset != size {
		return fmt.Errorf("%s has %d bytes, not %d", name, offset, size)
	}
	return nil
}
