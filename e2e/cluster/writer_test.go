//go:build linux

package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"

	"causeway/e2e/bench/nfs3"
)

// A writer's file has few blocks, each of which is written again and again: what a gateway writes too late lies over what came
// after it, and is seen.
const (
	blocks    = 24
	blockSize = 8 << 10
)

// writer changes a file and names of its own through one mount, reads through another, and knows what it was promised.
type writer struct {
	id       int
	dir      string // of the volume, on the test's machine
	to, from *mount
	file     []byte
	versions [blocks]uint64 // acknowledged as stable
	next     uint64
	files    map[uint64]bool // by number: is there, or was removed
	random   *rand.Rand
	done     atomic.Int64 // calls that were acknowledged
	unknown  int          // changes whose first answer was lost with the only gateway that knew it
}

func (w *writer) name() string { return fmt.Sprint("w", w.id) }

// block is a version of a block; every byte depends on it.
func (w *writer) block(number int, version uint64) []byte {
	data := make([]byte, blockSize)
	binary.LittleEndian.PutUint64(data, version)
	binary.LittleEndian.PutUint64(data[8:], uint64(w.id)<<32|uint64(number))
	random := rand.New(rand.NewPCG(version, uint64(w.id)<<32|uint64(number)))
	for i := 24; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], random.Uint64())
	}
	binary.LittleEndian.PutUint32(data[16:], crc32.ChecksumIEEE(data[24:]))
	return data
}

// check compares a block with what was promised.
func (w *writer) check(where string, number int, data []byte) error {
	want := w.versions[number]
	if bytes.Equal(data, w.block(number, want)) || want == 0 && bytes.Equal(data, make([]byte, blockSize)) {
		return nil
	}
	version := binary.LittleEndian.Uint64(data)
	whole := bytes.Equal(data, w.block(number, version))
	return fmt.Errorf("%s, file %s, block %d: version %d (whole: %v), not %d, which was acknowledged", where, w.name(), number, version, whole, want)
}

// run works until ctx is done, and finishes what it has begun: fin bounds that.
func (w *writer) run(ctx, fin context.Context) error {
	if err := errors.Join(w.to.begin(fin), w.from.begin(fin)); err != nil {
		return err
	}
	var err error
	if w.file, err = w.to.create(fin, w.name()); err != nil {
		return fmt.Errorf("create %s: %w", w.name(), err)
	}
	if err := w.fill(fin); err != nil {
		return err
	}
	for round := 0; ctx.Err() == nil; round++ {
		step := w.stable
		switch {
		case round%7 == 3:
			step = w.unstable
		case round%5 == 1:
			step = w.names
		case round%3 == 2:
			step = w.look
		}
		if err := step(fin); err != nil {
			return err
		}
		w.done.Add(1)
	}
	return nil
}

// fill gives the file its length.
func (w *writer) fill(ctx context.Context) error {
	_, err := w.to.write(ctx, w.file, (blocks-1)*blockSize, make([]byte, blockSize), nfs3.FileSync)
	return err
}

// stable writes a block.
func (w *writer) stable(ctx context.Context) error {
	number := w.random.IntN(blocks)
	w.next++
	if _, err := w.to.write(ctx, w.file, int64(number)*blockSize, w.block(number, w.next), nfs3.FileSync); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	w.versions[number] = w.next
	return nil
}

// unstable writes some blocks and commits them; what the server may have lost meanwhile is written again.
func (w *writer) unstable(ctx context.Context) error {
	w.next++
	left := make(map[int]uint64)
	for range 4 {
		left[w.random.IntN(blocks)] = 0
	}
	for len(left) > 0 {
		for number := range left {
			verifier, err := w.to.write(ctx, w.file, int64(number)*blockSize, w.block(number, w.next), nfs3.Unstable)
			if err != nil {
				return fmt.Errorf("unstable write: %w", err)
			}
			left[number] = verifier
		}
		verifier, err := w.to.commit(ctx, w.file)
		if err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		for number, of := range left {
			if of == verifier {
				w.versions[number] = w.next
				delete(left, number)
			}
		}
	}
	return nil
}

// names makes a file, gives it its name, and removes every other one again.
func (w *writer) names(ctx context.Context) error {
	n := uint64(len(w.files))
	early, late := fmt.Sprintf("%s-new-%d", w.name(), n), fmt.Sprintf("%s-%d", w.name(), n)
	_, err := w.to.create(ctx, early)
	if err := w.forgive(ctx, "create", err, 17, early, true); err != nil {
		return err
	}
	if err := w.forgive(ctx, "rename", w.to.rename(ctx, early, late), nfs3.NoEnt, late, true); err != nil {
		return err
	}
	w.files[n] = true
	if n%2 == 1 {
		if err := w.forgive(ctx, "remove", w.to.remove(ctx, late), nfs3.NoEnt, late, false); err != nil {
			return err
		}
		w.files[n] = false
	}
	return nil
}

// forgive accepts the one answer that a repeated change may get when the gateway that made it died before it had answered
// anybody: that it is done. The client or the gateway that it asked have repeated it.
func (w *writer) forgive(ctx context.Context, op string, err error, status nfs3.Status, name string, there bool) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, status) {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	if _, lookErr := w.to.lookup(ctx, name); errors.Is(lookErr, nfs3.NoEnt) == there {
		return fmt.Errorf("%s %s: %w, and it is not done: %v", op, name, err, lookErr)
	}
	w.unknown++
	return nil
}

// look reads a block through another gateway.
func (w *writer) look(ctx context.Context) error {
	number := w.random.IntN(blocks)
	data, err := w.from.read(ctx, w.file, int64(number)*blockSize, blockSize)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := w.check("through "+w.from.at, number, data); err != nil {
		return fmt.Errorf("%w; in the directory now: version %d", err, w.stored(number))
	}
	return nil
}

// stored returns the version of a block in the directory.
func (w *writer) stored(number int) uint64 {
	data := make([]byte, blockSize)
	f, err := os.Open(filepath.Join(w.dir, w.name()))
	if err == nil {
		f.ReadAt(data, int64(number)*blockSize)
		f.Close()
	}
	return binary.LittleEndian.Uint64(data)
}

// verify compares everything that was promised with what is there.
func (w *writer) verify(ctx context.Context) error {
	var problems []error
	f, err := os.Open(filepath.Join(w.dir, w.name()))
	if err != nil {
		return err
	}
	defer f.Close()
	for number := range blocks {
		data := make([]byte, blockSize)
		if _, err := f.ReadAt(data, int64(number)*blockSize); err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, w.check("in the directory", number, data))
		for _, m := range []*mount{w.to, w.from} {
			data, err := m.read(ctx, w.file, int64(number)*blockSize, blockSize)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			problems = append(problems, w.check("at the end, through "+m.at, number, data))
		}
	}
	for n, there := range w.files {
		if _, err := os.Lstat(filepath.Join(w.dir, fmt.Sprintf("%s-%d", w.name(), n))); (err == nil) != there {
			problems = append(problems, fmt.Errorf("%s-%d: %v, there should be one: %v", w.name(), n, err, there))
		}
		if _, err := os.Lstat(filepath.Join(w.dir, fmt.Sprintf("%s-new-%d", w.name(), n))); err == nil {
			problems = append(problems, fmt.Errorf("%s-new-%d is there although it was renamed", w.name(), n))
		}
	}
	return errors.Join(problems...)
}
