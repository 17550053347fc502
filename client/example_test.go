package client_test

import (
	"context"
	"fmt"
	"io/fs"
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
