package client

import (
	"context"
	"io"
	"io/fs"
	"os"
)

// FS returns the volume as a file system of package io/fs, for reading. Its calls end when the context does.
func (v *Volume) FS(ctx context.Context) fs.FS { return &tree{ctx, v} }

// tree implements fs.FS.
type tree struct {
	ctx context.Context
	v   *Volume
}

var (
	_ fs.ReadDirFS  = (*tree)(nil)
	_ fs.StatFS     = (*tree)(nil)
	_ fs.ReadFileFS = (*tree)(nil)
)

// valid refuses names that are none of io/fs.
func valid(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	i, err := t.Stat(name)
	if err != nil {
		return nil, err
	}
	if i.IsDir() {
		return &directory{t: t, name: name, info: i}, nil
	}
	return t.v.Open(t.ctx, name)
}

// Stat implements fs.StatFS.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	if err := valid("stat", name); err != nil {
		return nil, err
	}
	return t.v.Stat(t.ctx, name)
}

// ReadDir implements fs.ReadDirFS.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := valid("readdir", name); err != nil {
		return nil, err
	}
	return t.v.ReadDir(t.ctx, name)
}

// ReadFile implements fs.ReadFileFS.
func (t *tree) ReadFile(name string) ([]byte, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	return t.v.ReadFile(t.ctx, name)
}

// ReadFile returns all of a file.
func (v *Volume) ReadFile(ctx context.Context, name string) ([]byte, error) {
	f, err := v.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// WriteFile writes all of a file, stable when it returns.
func (v *Volume) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	f, err := v.OpenFile(ctx, name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// directory is an open directory.
type directory struct {
	t    *tree
	name string
	info fs.FileInfo
	list []fs.DirEntry
	read bool
}

// Stat implements fs.File.
func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }

// Read implements fs.File.
func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fs.ErrInvalid}
}

// Close implements fs.File.
func (d *directory) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		list, err := d.t.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.list, d.read = list, true
	}
	if n <= 0 {
		out := d.list
		d.list = nil
		return out, nil
	}
	if len(d.list) == 0 {
		return nil, io.EOF
	}
	out := d.list[:min(n, len(d.list))]
	d.list = d.list[len(out):]
	return out, nil
}
