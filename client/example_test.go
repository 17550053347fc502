package client_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"

	"causeway/client"
)

// exampleGateway is where a gateway answers, for the examples.
func exampleGateway() (address string, stop func()) {
	t := &testing.T{}
	w := newWorld(quiet{t}, 1, nil)
	return w.where[0], func() {}
}

// quiet is a testing.TB that outlives its test: the example's process ends soon.
type quiet struct{ testing.TB }

func (quiet) Helper()        {}
func (quiet) Cleanup(func()) {}

func Example() {
	address, stop := exampleGateway()
	defer stop()
	ctx, me := context.Background(), uint32(1000)
	c, err := client.Dial(ctx, client.Config{UID: &me, GID: &me}, address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	v, err := c.Volume(ctx, "v")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := v.WriteFile(ctx, "hello.txt", []byte("hello"), 0o644); err != nil {
		fmt.Println(err)
	}
	text, err := v.ReadFile(ctx, "hello.txt")
	fmt.Println(string(text), err)
	// Output: hello <nil>
}

// Two programs count together: each adds to the number while it has the file locked.
func ExampleFile_Lock() {
	address, stop := exampleGateway()
	defer stop()
	ctx, me := context.Background(), uint32(1000)
	count := func() error {
		c, err := client.Dial(ctx, client.Config{UID: &me, GID: &me}, address)
		if err != nil {
			return err
		}
		defer c.Close()
		v, err := c.Volume(ctx, "v")
		if err != nil {
			return err
		}
		f, err := v.OpenFile(ctx, "count", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Lock(ctx, 0, 0); err != nil {
			return err
		}
		n := make([]byte, 1)
		if _, err := f.ReadAt(n, 0); err != nil && err != io.EOF {
			return err
		}
		if _, err := f.WriteAt([]byte{n[0] + 1}, 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		fmt.Println("counted to", n[0]+1)
		return f.Unlock(ctx, 0, 0)
	}
	fmt.Println(count(), count())
	// Output:
	// counted to 1
	// counted to 2
	// <nil> <nil>
}

// Each line goes to the end, whoever else appends.
func ExampleVolume_OpenFile() {
	address, stop := exampleGateway()
	defer stop()
	ctx, me := context.Background(), uint32(1000)
	c, err := client.Dial(ctx, client.Config{UID: &me, GID: &me}, address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	v, err := c.Volume(ctx, "v")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := v.OpenFile(ctx, "log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range []string{"started", "stopped"} {
		if _, err := fmt.Fprintln(f, line); err != nil {
			fmt.Println(err)
		}
	}
	if err := f.Close(); err != nil {
		fmt.Println(err)
	}
	text, err := v.ReadFile(ctx, "log")
	fmt.Print(string(text), err)
	// Output:
	// started
	// stopped
	// <nil>
}

func ExampleVolume_FS() {
	address, stop := exampleGateway()
	defer stop()
	ctx, me := context.Background(), uint32(1000)
	c, err := client.Dial(ctx, client.Config{UID: &me, GID: &me}, address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	v, err := c.Volume(ctx, "v")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"a", "a/b"} {
		if err := v.Mkdir(ctx, name, 0o755); err != nil {
			fmt.Println(err)
		}
	}
	fs.WalkDir(v.FS(ctx), ".", func(path string, d fs.DirEntry, err error) error {
		fmt.Println(path, err)
		return err
	})
	// Output:
	// . <nil>
	// a <nil>
	// a/b <nil>
}
