package dirs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Names that stay begin with keep, others come and go.
const (
	keep = "keep-"
	come = "come-"
)

// Fill makes count names that stay.
func Fill(dir string, count int) error {
	for i := range count {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(keep, i)), os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Watch lists the directory rounds times while a writer makes and removes other names, and checks every list.
func Watch(ctx context.Context, dir string, count, rounds int) error {
	ctx, stop := context.WithCancel(ctx)
	var changing sync.WaitGroup
	var changeErr error
	changing.Go(func() { changeErr = change(ctx, dir) })
	var listErr error
	for range rounds {
		if listErr = list(dir, count); listErr != nil {
			break
		}
	}
	stop()
	changing.Wait()
	return errors.Join(listErr, changeErr)
}

// change makes names and removes them again, with several there at any time, until ctx is done.
func change(ctx context.Context, dir string) error {
	const alive = 50
	name := func(i int) string { return filepath.Join(dir, fmt.Sprint(come, i)) }
	i := 0
	for ; ctx.Err() == nil; i++ {
		if err := os.WriteFile(name(i), nil, 0o644); err != nil {
			return err
		}
		if i >= alive {
			if err := os.Remove(name(i - alive)); err != nil {
				return err
			}
		}
	}
	for gone := max(0, i-alive); gone < i; gone++ {
		if err := os.Remove(name(gone)); err != nil {
			return err
		}
	}
	return nil
}

// list reads the directory once and counts the names that stay.
func list(dir string, count int) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if !strings.HasPrefix(name, keep) {
			continue
		}
		if seen[name] {
			return fmt.Errorf("%s is listed twice", name)
		}
		seen[name] = true
	}
	if len(seen) != count {
		return fmt.Errorf("%d names that stay are listed, want %d", len(seen), count)
	}
	return nil
}
