package records

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Config says what is written.
type Config struct {
	Dir   string
	Seed  uint64
	Size  int // of a record in bytes, with its header
	Batch int // records per fsync
}

const (
	logName   = "records"
	filesName = "files"
	header    = 20 // sequence number, seed, checksum of the rest
)

var table = crc32.MakeTable(crc32.Castagnoli)

// record returns the record of a number; every byte depends on it.
func record(config Config, sequence uint64) []byte {
	data := make([]byte, config.Size)
	binary.LittleEndian.PutUint64(data, sequence)
	binary.LittleEndian.PutUint64(data[8:], config.Seed)
	random := rand.New(rand.NewPCG(config.Seed, sequence))
	for i := header; i < len(data); i++ {
		data[i] = byte(random.Uint32())
	}
	binary.LittleEndian.PutUint32(data[16:], crc32.Checksum(data[header:], table))
	return data
}

// Write appends records and makes files until ctx is done. Each line of out is a promise: "log N", all records below N are
// stable; "file N", the file of number N has its final name and content.
func Write(ctx context.Context, config Config, out io.Writer) error {
	log, err := os.OpenFile(filepath.Join(config.Dir, logName), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	files := filepath.Join(config.Dir, filesName)
	if err := os.Mkdir(files, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for batch := uint64(0); ctx.Err() == nil; batch++ {
		next, err := writeBatch(log, config, batch)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "log", next); err != nil {
			return err
		}
		if err := writeFile(files, config, batch); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "file", batch); err != nil {
			return err
		}
	}
	return log.Close()
}

// writeBatch writes the records of a batch and waits until they are stable; it returns the number of the next record.
func writeBatch(log *os.File, config Config, batch uint64) (uint64, error) {
	next := batch * uint64(config.Batch)
	for range config.Batch {
		if _, err := log.WriteAt(record(config, next), int64(next)*int64(config.Size)); err != nil {
			return 0, fmt.Errorf("write record %d: %w", next, err)
		}
		next++
	}
	if err := log.Sync(); err != nil {
		return 0, fmt.Errorf("fsync before record %d: %w", next, err)
	}
	return next, nil
}

// writeFile makes a file under a temporary name and renames it; every third file it removes again an older one.
func writeFile(dir string, config Config, number uint64) error {
	temporary, final := filepath.Join(dir, fmt.Sprint("new-", number)), filepath.Join(dir, fmt.Sprint("file-", number))
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(record(config, number)); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := again(os.Rename(temporary, final), final, true); err != nil {
		return err
	}
	if removed(number) {
		return nil
	}
	if older := number - 1; number > 0 && removed(older) {
		gone := filepath.Join(dir, fmt.Sprint("file-", older))
		return again(os.Remove(gone), gone, false)
	}
	return nil
}

// removed says whether the file of a number is removed after the next one was made.
func removed(number uint64) bool { return number%3 == 1 }

// again forgives a call that was done before the server died and answered ENOENT when it was sent again, if its effect is
// there: NFSv3 cannot tell the two apart once the server has forgotten its replies.
func again(err error, path string, exists bool) error {
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if _, found := os.Lstat(path); (found == nil) == exists {
		return nil
	}
	return err
}
