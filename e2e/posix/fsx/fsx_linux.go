package fsx

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Config says what is done.
type Config struct {
	Dir     string
	Seed    uint64
	Ops     int
	MaxSize int  // of the file, in bytes
	NoMmap  bool // leave out mappings
	Log     io.Writer
}

// operation is one kind of step and how often it comes, in relation to others.
type operation struct {
	name   string
	weight int
	do     func(x *exerciser) (string, error)
}

var operations = []operation{
	{"read", 20, (*exerciser).read},
	{"write", 25, (*exerciser).write},
	{"append", 5, (*exerciser).append},
	{"truncate", 10, (*exerciser).truncate},
	{"mapread", 10, (*exerciser).mapRead},
	{"mapwrite", 12, (*exerciser).mapWrite},
	{"fsync", 3, (*exerciser).sync},
	{"reopen", 4, (*exerciser).reopen},
	{"stat", 5, (*exerciser).stat},
	{"punch", 2, (*exerciser).rewriteZero},
}

// exerciser holds the file and what it should contain.
type exerciser struct {
	config Config
	random *rand.Rand
	path   string
	fd     int
	model  []byte
	last   []string // the last operations, a ring
	count  int
}

// remembered is how many operations a failure shows.
const remembered = 60

// Run exercises a new file of the directory and removes it at success. Its error says how the file differs from the
// model; the last operations are written to the log then, and the file stays.
func Run(config Config) error {
	x := &exerciser{config: config, random: rand.New(rand.NewPCG(config.Seed, 1)), path: filepath.Join(config.Dir, fmt.Sprint("fsx-", config.Seed))}
	fd, err := unix.Open(x.path, unix.O_CREAT|unix.O_TRUNC|unix.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	x.fd = fd
	err = x.run()
	unix.Close(x.fd)
	if err != nil {
		x.explain()
		return fmt.Errorf("seed %d, operation %d: %w", config.Seed, x.count, err)
	}
	return os.Remove(x.path)
}

func (x *exerciser) run() error {
	total := 0
	for _, op := range operations {
		total += op.weight
	}
	for ; x.count < x.config.Ops; x.count++ {
		op := pick(x.random.IntN(total))
		detail, err := op.do(x)
		x.last = append(x.last[max(0, len(x.last)-remembered+1):], fmt.Sprintf("%6d %-8s %s", x.count, op.name, detail))
		if err != nil {
			return fmt.Errorf("%s %s: %w", op.name, detail, err)
		}
	}
	return x.verify()
}

func pick(n int) operation {
	for _, op := range operations {
		if n < op.weight {
			return op
		}
		n -= op.weight
	}
	return operations[0]
}

func (x *exerciser) explain() {
	for _, line := range x.last {
		fmt.Fprintln(x.config.Log, line)
	}
}

// verify compares the whole file with the model.
func (x *exerciser) verify() error {
	data, err := os.ReadFile(x.path)
	if err != nil {
		return err
	}
	if len(data) != len(x.model) {
		return fmt.Errorf("the file has %d bytes, the model %d", len(data), len(x.model))
	}
	return x.compare(data, 0)
}

// compare compares what was read at an offset with the model.
func (x *exerciser) compare(data []byte, offset int) error {
	want := x.model[offset : offset+len(data)]
	if bytes.Equal(data, want) {
		return nil
	}
	first, differing := -1, 0
	for i := range data {
		if data[i] != want[i] {
			if first < 0 {
				first = i
			}
			differing++
		}
	}
	return fmt.Errorf("%d of %d bytes differ, the first at %#x: read %#02x, want %#02x", differing, len(data), offset+first, data[first], want[first])
}
