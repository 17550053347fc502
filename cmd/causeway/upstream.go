package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"causeway"
	"causeway/backend/smb"
	"causeway/cmd/causeway/config"
)

// openShare connects to the server whose share a volume is.
func (v *volumes) openShare(ctx context.Context, spec config.Volume, password string) (*smb.Store, error) {
	cfg, err := smb.ParseAddress(spec.Path)
	if err != nil {
		return nil, err
	}
	var id causeway.VolumeID
	cfg.Password = password
	cfg.UID, cfg.GID, cfg.Logger = spec.UID, spec.GID, v.log
	cfg.OnSyncError = func(error) { v.transfer.SyncFailed(id) }
	store, err := smb.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	id = store.VolumeID()
	return store, nil
}

// readPasswordFile reads the first line of a file that nobody but its owner may read.
func readPasswordFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s must be a file that only its owner can read: chmod 600 %s", name, name)
	}
	line, err := bufio.NewReader(io.LimitReader(f, maxPassword)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return line, nil
}
