// Package pulse writes and reads one checksummed record for each datagram that asks for it, past all caches, so that whoever asks sees
// how long a request of a mount takes, and whether it fails. When to ask, and what happens to servers meanwhile, belongs to others.
package pulse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
)

// Port is where the program in a guest listens.
const Port = 7102

// Size of a record in bytes: what direct I/O is aligned to.
const Size = 4096

// FileName is the file of records.
const FileName = "pulse"

var table = crc32.MakeTable(crc32.Castagnoli)

// Fill makes data the record of a number; every byte depends on it.
func Fill(data []byte, number uint64) {
	random := rand.New(rand.NewPCG(number, 0x9e3779b97f4a7c15))
	for i := 12; i < len(data); i++ {
		data[i] = byte(random.Uint32())
	}
	binary.LittleEndian.PutUint64(data, number)
	binary.LittleEndian.PutUint32(data[8:], crc32.Checksum(data[12:], table))
}

// Verify reads the records of the numbers below count, and says which differs from what was acknowledged.
func Verify(path string, count uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	got, want := make([]byte, Size), make([]byte, Size)
	for number := range count {
		Fill(want, number)
		if _, err := io.ReadFull(f, got); err != nil {
			return errors.Join(fmt.Errorf("record %d of %d", number, count), err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("record %d of %d differs: it begins with %x", number, count, got[:12])
		}
	}
	return nil
}
