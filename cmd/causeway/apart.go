package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"causeway/cmd/causeway/config"
)

// apart refuses a state directory inside a volume: its handle keys would be served to clients. It also refuses a volume
// inside another one on the same file system, where the records of the inner one would be an ordinary directory of the outer.
func apart(stateDir string, volumes []config.Volume) error {
	volumes = slices.DeleteFunc(slices.Clone(volumes), func(v config.Volume) bool { return v.IsShare() })
	real := make([]string, len(volumes))
	for i, v := range volumes {
		var err error
		if real[i], err = filepath.EvalSymlinks(v.Path); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
		if state := realPath(stateDir); inside(state, real[i]) {
			return fmt.Errorf("the state directory %s lies in the volume %s, so that clients could read the keys of their handles; "+
				"choose another with --state-dir", state, v.Name)
		}
	}
	for i, v := range volumes {
		for j, w := range volumes {
			if i != j && real[i] != real[j] && inside(real[i], real[j]) && sameDevice(real[i], real[j]) {
				return fmt.Errorf("the volume %s (%s) lies inside the volume %s (%s); serve one of them", v.Name, v.Path, w.Name, w.Path)
			}
		}
	}
	return nil
}

// inside reports whether path is dir or below it; both are clean and without symbolic links.
func inside(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// realPath resolves the symbolic links of as much of a path as exists.
func realPath(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) && path != "/" {
		return filepath.Join(realPath(filepath.Dir(path)), filepath.Base(path))
	}
	if err != nil {
		return path
	}
	return real
}
