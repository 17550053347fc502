package client

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"causeway"
	"causeway/client/clientpb"
)

// Volume is a volume of the cluster. Names are paths with slashes, relative to its root; they are cleaned first, so that neither ".." nor
// symbolic links lead out of it. It may be used by many goroutines at once.
type Volume struct {
	c         *Client
	name      string
	root      []byte
	exclusive bool
	readOnly  bool

	mirror  atomic.Pointer[mirror] // where it is read; nil: here
	changed atomic.Bool            // the client has changed something, so that it stays
}

// Volume opens a volume by its name. It fails with ErrAccess (fs.ErrPermission) if there is no such volume for this client.
func (c *Client) Volume(ctx context.Context, name string) (*Volume, error) {
	c.mu.Lock()
	if v := c.volumes[name]; v != nil {
		c.mu.Unlock()
		return v, nil
	}
	for _, a := range c.known {
		c.paths.Add(name, a, time.Now())
	}
	c.mu.Unlock()
	r, err := c.ask(ctx, name, &clientpb.Request{Name: []byte(name)}, method(clientpb.FilesClient.OpenVolume))
	if err == causeway.ErrAccess { // without a cause
		err = &causeway.Error{Op: "gateway", Code: causeway.ErrAccess, Err: errors.New("there is no such volume, or it is not exported to this client's address")}
	}
	if err != nil {
		return nil, failed("open volume", name, err)
	}
	v := &Volume{c: c, name: name, root: r.Handle, exclusive: r.Exclusive, readOnly: r.ReadOnly}
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.volumes[name]; first != nil {
		return first, nil
	}
	c.volumes[name] = v
	return v, nil
}

// Name returns the name of the volume.
func (v *Volume) Name() string { return v.name }

// ReadOnly reports whether this client may change nothing.
func (v *Volume) ReadOnly() bool { return v.readOnly }

// object is where a name leads.
type object struct {
	handle []byte
	attr   *clientpb.Attr
}

// maxLinks is how many symbolic links one name may lead through, as in Linux.
const maxLinks = 40

// split cleans a name and returns its elements.
func split(name string) []string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// walk finds an object. follow: if the last name is a symbolic link, to where it leads.
func (v *Volume) walk(ctx context.Context, name string, follow bool) (object, error) {
	names := split(name)
	for range maxLinks {
		r := &clientpb.Request{Handle: v.root}
		for _, n := range names {
			r.Names = append(r.Names, []byte(n))
		}
		m, err := v.c.ask(ctx, v.name, r, method(clientpb.FilesClient.Walk))
		if err != nil {
			return object{}, err
		}
		found, walked := object{m.Handle, m.Attr}, int(m.Walked)
		if walked > len(names) || m.Attr == nil {
			return object{}, causeway.ErrServerFault
		}
		isLink := causeway.FileType(m.Attr.Type) == causeway.TypeSymlink
		switch {
		case walked == len(names) && !(isLink && follow):
			return found, nil
		case !isLink:
			return object{}, causeway.ErrNotDir
		}
		m, err = v.c.ask(ctx, v.name, &clientpb.Request{Handle: found.handle}, method(clientpb.FilesClient.ReadLink))
		if err != nil {
			return object{}, err
		}
		names = lead(names, walked, string(m.Target))
	}
	return object{}, causeway.ErrLoop
}

// lead returns the names behind a symbolic link, which is the last of those that were walked.
func lead(names []string, walked int, target string) []string {
	base := path.Join(names[:max(walked-1, 0)]...)
	if strings.HasPrefix(target, "/") {
		base = ""
	}
	return split(path.Join(append([]string{base, target}, names[walked:]...)...))
}

// parent finds the directory of a name, and the last element of it.
func (v *Volume) parent(ctx context.Context, name string) (dir object, last string, err error) {
	names := split(name)
	if len(names) == 0 {
		return object{}, "", causeway.ErrInval
	}
	last = names[len(names)-1]
	dir, err = v.walk(ctx, path.Join(names[:len(names)-1]...), true)
	if err == nil && causeway.FileType(dir.attr.GetType()) != causeway.TypeDirectory {
		err = causeway.ErrNotDir
	}
	return dir, last, err
}

// method makes a call of one of the generated methods.
func method(m func(clientpb.FilesClient, context.Context, *clientpb.Request, ...grpc.CallOption) (*clientpb.Reply, error)) func(clientpb.FilesClient, context.Context, *clientpb.Request) (*clientpb.Reply, error) {
	return func(f clientpb.FilesClient, ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
		return m(f, ctx, r)
	}
}

// changes notes that the client changes the volume: it is read there too from now on.
func (v *Volume) changes() {
	v.changed.Store(true)
	v.mirror.Store(nil)
}
