package config

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Example is a configuration file with every setting, commented.
//
//go:embed example.yaml
var Example string

// MaxFile is the largest configuration file in bytes.
const MaxFile = 1 << 20

// FileError is a fault in a configuration file.
type FileError struct {
	File         string
	Line, Column int // from 1; 0 if not known
	Err          error
}

// Error returns "file:line:column: what is wrong".
func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

// Unwrap returns what is wrong.
func (e *FileError) Unwrap() error { return e.Err }

// File is a configuration file that was read, parsed and validated.
type File struct {
	Name   string
	Config Config
	tree   *ast.File
}

// Load reads a file: what it does not say is as in Default. Errors about its content are *FileError.
func Load(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return Parse(name, text)
}

// Parse is Load of a text. The YAML library panics on some texts that are no YAML; they are refused like others.
func Parse(name string, text []byte) (f *File, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, &FileError{File: name, Err: fmt.Errorf("no YAML that can be understood: %v", r)}
		}
	}()
	return parse(name, text)
}

func parse(name string, text []byte) (*File, error) {
	if len(text) > MaxFile {
		return nil, &FileError{File: name, Err: fmt.Errorf("larger than %d bytes", MaxFile)}
	}
	if line, err := checkDepth(text); err != nil {
		return nil, &FileError{File: name, Line: line, Column: 1, Err: err}
	}
	f := &File{Name: name, Config: Default()}
	var err error
	if f.tree, err = parser.ParseBytes(text, 0); err != nil {
		return nil, f.fromYAML(err)
	}
	if len(f.tree.Docs) > 1 {
		return nil, &FileError{File: name, Err: errors.New("more than one YAML document")}
	}
	if !f.empty() {
		if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f.Config); err != nil {
			return nil, f.fromYAML(err)
		}
	}
	if err := f.Config.Validate(); err != nil {
		return nil, f.Locate(err)
	}
	return f, nil
}

// empty reports whether the file says nothing; decoding that would leave nothing of the defaults.
func (f *File) empty() bool {
	for _, doc := range f.tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType && doc.Body.Type() != ast.CommentGroupType {
			return false
		}
	}
	return true
}

// fromYAML translates what the YAML library found.
func (f *File) fromYAML(err error) error {
	out := &FileError{File: f.Name, Err: err}
	if e := yaml.Error(nil); errors.As(err, &e) {
		out.Err = errors.New(e.GetMessage())
		out.at(e.GetToken())
	}
	return out
}

// Locate turns a *Fault into a *FileError with its line and column.
func (f *File) Locate(err error) error {
	bad := (*Fault)(nil)
	if !errors.As(err, &bad) || f.tree == nil {
		return err
	}
	out := &FileError{File: f.Name, Err: err}
	for at := bad.Path; at != "" && at != "$"; at = parent(at) {
		path, err := yaml.PathString(at)
		if err != nil {
			break
		}
		if node, err := path.FilterFile(f.tree); err == nil && node != nil {
			out.at(node.GetToken())
			break
		}
	}
	return out
}

func (e *FileError) at(t *token.Token) {
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
}

// parent cuts the last step of a YAML path: what is at fault by its absence is shown where it should stand.
func parent(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

// CheckPaths returns a *Fault for the first volume whose directory is not there or cannot be listed.
func (c *Config) CheckPaths() error {
	for i := range c.Volumes {
		v, at := &c.Volumes[i], fmt.Sprintf("$.volumes[%d].path", i)
		if v.IsShare() {
			continue
		}
		switch info, err := os.Stat(v.Path); {
		case errors.Is(err, os.ErrNotExist):
			return fault(at, "%s does not exist; make it with: mkdir -p %s", v.Path, v.Path)
		case err != nil:
			return &Fault{at, err}
		case !info.IsDir():
			return fault(at, "%s is not a directory", v.Path)
		}
		dir, err := os.Open(v.Path)
		if err != nil {
			return fault(at, "%s cannot be opened by this user: %w", v.Path, err)
		}
		dir.Close()
	}
	return nil
}
