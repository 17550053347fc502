package records

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Promises is what a writer told before it ended.
type Promises struct {
	Records uint64 // all below are stable
	Files   uint64 // all below were made
}

// ReadPromises reads the output of [Write], whose last line may be cut.
func ReadPromises(in io.Reader) Promises {
	var promises Promises
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var number uint64
		switch n, _ := fmt.Sscanf(lines.Text(), "log %d", &number); n {
		case 1:
			promises.Records = number
		default:
			if n, _ := fmt.Sscanf(lines.Text(), "file %d", &number); n == 1 {
				promises.Files = number + 1
			}
		}
	}
	return promises
}

// Verify checks that everything that was promised is in the directory: on the mount, or on the server's side.
func Verify(config Config, promises Promises) error {
	return errors.Join(verifyLog(config, promises.Records), verifyFiles(config, promises.Files))
}

func verifyLog(config Config, count uint64) error {
	f, err := os.Open(filepath.Join(config.Dir, logName))
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	got := make([]byte, config.Size)
	for number := range count {
		if _, err := io.ReadFull(in, got); err != nil {
			return fmt.Errorf("record %d of %d: %w", number, count, err)
		}
		if want := record(config, number); !bytes.Equal(got, want) {
			return fmt.Errorf("record %d of %d differs: it begins with %x, want %x", number, count, got[:header], want[:header])
		}
	}
	return nil
}

// verifyFiles looks at all files but the last, whose successor may have removed it when the writer ended.
func verifyFiles(config Config, count uint64) error {
	var problems []error
	for number := range count {
		data, err := os.ReadFile(filepath.Join(config.Dir, filesName, fmt.Sprint("file-", number)))
		switch {
		case removed(number) && number+1 < count && err == nil:
			problems = append(problems, fmt.Errorf("file %d was removed and is there", number))
		case removed(number):
		case err != nil:
			problems = append(problems, err)
		case !bytes.Equal(data, record(config, number)):
			problems = append(problems, fmt.Errorf("file %d differs", number))
		}
	}
	return errors.Join(problems...)
}
