package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"causeway/e2e/harness"
)

// script is what the kernel's user does: ordinary programs in a mounted directory.
const script = `mkdir project && cd project
for i in 1 2 3 4 5 6 7 8; do echo "chapter $i" >chapter$i; done
ln chapter1 prologue; ln -s chapter8 epilogue; chmod 640 chapter2
dd if=/dev/urandom of=data bs=1M count=32 2>/dev/null; sync data
cp data copy; cmp data copy && echo "32 MiB written, copied and compared"
tar cf ../project.tar . && mkdir ../unpacked && tar xf ../project.tar -C ../unpacked
cmp data ../unpacked/data && echo "packed and unpacked with tar"
rm -r ../unpacked copy; mv data renamed
ls -l; df -h . | tail -1`

// kernel is the second act: a Linux kernel, in User-mode Linux, on a network of its own, mounts a volume.
func kernel() error {
	s := &stage{}
	defer s.clear()
	act := func() {
		harness.Require(s)
		network := harness.NewNetwork(s)
		dir := s.TempDir()
		say("A gateway serves another machine: a Linux kernel, booted for this")
		host := network.Host()
		gateway := harness.StartGateway(s, host, harness.GatewayConfig{Volumes: map[string]string{"data": dir}, Portmap: true})
		guest := network.Boot(harness.GuestConfig{Name: "visitor"})
		mounted := guest.Mount(gateway.Mount("data"))
		show("%s", strings.TrimSpace(guest.Sh("/", "uname -sr; grep "+mounted+" /proc/mounts | cut -c1-150")))
		say("Its programs work in the mounted directory")
		for line := range strings.Lines(guest.Sh(mounted, script)) {
			show("%s", strings.TrimRight(line, "\n"))
		}
		guest.Sh("/", "umount "+mounted)
		entries, err := os.ReadDir(dir + "/project")
		if err != nil || len(entries) != 11 {
			s.Fatalf("the directory holds %d entries, not 11: %v", len(entries), err)
		}
		show("unmounted; all %d names lie in the directory", len(entries))
	}
	err := s.run(act)
	if skip := (skipped)(""); errors.As(err, &skip) {
		fmt.Printf("\n(A second act, in which a real Linux kernel mounts the volume, is left out: %s)\n", skip)
		return nil
	}
	return err
}
