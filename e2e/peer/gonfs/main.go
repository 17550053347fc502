// The command gonfs serves a directory with go-nfs, as its own example does, to be measured beside causeway:
//
//	gonfs ADDR:PORT DIR
//
// It changes nothing in go-nfs: a null authentication handler, the caching handler with enough handles for the workloads,
// and go-billy's osfs with the optional operations that go-nfs asks for.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
)

// handles is how many file handles stay good at a time.
const handles = 1 << 20

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gonfs:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: gonfs ADDR:PORT DIR")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	handler := helpers.NewNullAuthHandler(changeable{osfs.New(args[1])})
	return nfs.Serve(listener, helpers.NewCachingHandlerWithVerifierLimit(handler, handles, 1024))
}
