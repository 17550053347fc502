// Command causeway serves directories over NFSv3. This package wires the rooms together and holds the flags and the
// operator's commands; it decides nothing that a room could decide.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

func main() {
	err := execute(context.Background(), newRoot(os.Stdout, os.Stderr))
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "causeway:", err)
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		os.Exit(2)
	}
	os.Exit(1)
}
