//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
)

// TestGoClient works with a client library in Go, which finds everything through the portmapper.
func TestGoClient(t *testing.T) {
	s := setStage(t)
	var err error
	s.network.Test().Do(func() { err = workWithGoClient(s) })
	if err != nil {
		t.Error(err)
	}
}

func workWithGoClient(s *stage) error {
	mount, err := nfs.DialMount(s.host.Address.String(), time.Second)
	if err != nil {
		return err
	}
	defer mount.Close()
	target, err := mount.Mount("/"+volume, rpc.NewAuthUnix("test", 0, 0).Auth())
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := target.Mkdir("/dir", 0o755); err != nil {
		return err
	}
	content := bytes.Repeat([]byte("some content "), 100000)
	if err := copyWithGoClient(target, content); err != nil {
		return err
	}
	if stored, err := os.ReadFile(filepath.Join(s.dir, "dir/renamed")); err != nil || !bytes.Equal(stored, content) {
		return errors.Join(errors.New("the server has another content"), err)
	}
	entries, err := target.ReadDirPlus("/dir")
	if err != nil {
		return err
	}
	names := 0
	for _, entry := range entries {
		if entry.Name() == "renamed" && entry.Size() == int64(len(content)) {
			names++
		}
	}
	if names != 1 {
		return errors.New("the list does not hold the file")
	}
	if err := target.RmDir("/dir"); err == nil {
		return errors.New("a directory with content was removed")
	}
	if err := target.RemoveAll("/dir"); err != nil {
		return err
	}
	if _, _, err := target.Lookup("/dir", false); !os.IsNotExist(err) {
		return errors.Join(errors.New("the directory is still there"), err)
	}
	return mount.Unmount()
}

// copyWithGoClient writes a file, renames it and reads it again.
func copyWithGoClient(target *nfs.Target, content []byte) error {
	file, err := target.OpenFile("/dir/file", 0o644)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := target.Rename("/dir/file", "/dir/renamed"); err != nil {
		return err
	}
	again, err := target.Open("/dir/renamed")
	if err != nil {
		return err
	}
	got, err := io.ReadAll(again)
	if err == nil && !bytes.Equal(got, content) {
		err = errors.New("what was read differs from what was written")
	}
	return errors.Join(err, again.Close())
}
