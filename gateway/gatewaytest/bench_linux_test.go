package gatewaytest_test

import (
	"testing"

	"causeway"
	"causeway/backend/posix"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// BenchmarkEngines measures what the engines and the file system cost per call, without a protocol. None of the calls may
// allocate in its steady state.
func BenchmarkEngines(b *testing.B) {
	dir := b.TempDir()
	s, err := posix.Open(b.Context(), dir, posix.Config{})
	if err != nil {
		b.Fatal(err)
	}
	f := engines(b, s, true)
	ctx, c := b.Context(), gatewaytest.Root()
	root, err := f.Access.Root(ctx, c, f.Volume)
	if err != nil {
		b.Fatal(err)
	}
	file, _, err := f.Access.Create(ctx, c, root.Handle, "file", &gateway.CreateSpec{Type: causeway.TypeRegular})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 4096)
	if _, err := f.Transfer.Write(ctx, c, file.Handle, 0, buf, causeway.Unstable); err != nil {
		b.Fatal(err)
	}
	c.NoWait = true
	for name, call := range map[string]func() error{
		"GetAttr": func() error { _, err := f.Access.GetAttr(ctx, c, file.Handle); return err },
		"Lookup":  func() error { _, _, err := f.Access.Lookup(ctx, c, root.Handle, "file"); return err },
		"Read":    func() error { _, err := f.Transfer.Read(ctx, c, file.Handle, 0, buf); return err },
		"Write":   func() error { _, err := f.Transfer.Write(ctx, c, file.Handle, 0, buf, causeway.Unstable); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
