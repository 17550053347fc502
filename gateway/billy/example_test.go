package billy_test

import (
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/util"

	"causeway/backend/billyfs"
	"causeway/gateway"
	"causeway/gateway/billy"
)

// A filesystem that a Go program has in memory becomes a volume, which NFS clients could mount; and another part of the
// program uses the volume as a filesystem again, with the rights of a caller, seeing what the clients see.
func Example() {
	inMemory := memfs.New()
	if err := util.WriteFile(inMemory, "greetings/hello.txt", []byte("hello from memory"), 0o644); err != nil {
		panic(err)
	}

	store, err := billyfs.New(inMemory, billyfs.Config{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	access, transfer := engines(store) // as the gateway makes them
	defer transfer.Close()

	fs := billy.New(context.Background(), access, transfer, volume, gateway.Caller{})
	f, err := fs.Open("greetings/hello.txt")
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	f.Close()
	fmt.Printf("%s\n", text)

	if err := util.WriteFile(fs, "greetings/answer.txt", []byte("hello from the volume"), 0o644); err != nil {
		panic(err)
	}
	answer, err := util.ReadFile(inMemory, "greetings/answer.txt")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", answer)
	// Output:
	// hello from memory
	// hello from the volume
}
