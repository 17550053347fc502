package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"causeway/e2e/harness"
)

// script is what the kernel's user does with a volume: ordinary programs in a mounted directory.
const script = `mkdir project && cd project
for i in 1 2 3 4 5 6 7 8; do echo "chapter $i" >chapter$i; done
ln chapter1 prologue; ln -s chapter8 epilogue; chmod 640 chapter2
dd if=/dev/urandom of=data bs=1M count=32 2>/dev/null; sync data
cp data copy; cmp data copy && echo "32 MiB written, copied and compared"
tar cf ../project.tar . && mkdir ../unpacked && tar xf ../project.tar -C ../unpacked
cmp data ../unpacked/data && echo "packed and unpacked with tar"
rm -r ../unpacked copy; mv data renamed
ls -l; df -h . | tail -1`

// records writes records that are on disk before the next, notes their sums and when each was done, and stops when it is told to.
const records = `mkdir records && cd records
for n in $(seq 1 100000); do
	head -c 65536 /dev/urandom >$n && sync $n || { echo "record $n failed"; exit 1; }
	sha256sum $n >>/tmp/sums; date +%s%N >>/tmp/times
	[ -e /tmp/enough ] && break
done`

// after shows what came of it: how long the longest pause was, and whether the records are as they were written.
const after = `cd records
awk 'NR > 1 && $1 - last > longest { longest = $1 - last } { last = $1 } END { printf "%d records; the longest pause was %d ms\n", NR, longest / 1000000 }' /tmp/times
echo 3 >/proc/sys/vm/drop_caches
sha256sum -c --quiet /tmp/sums && echo "all of them are as they were written"`

// kernel is the last act: a Linux kernel, in User-mode Linux, on a network of its own, mounts a volume of a cluster whose gateways have
// addresses that move, and works on when the one that it uses dies.
func kernel() error {
	s := &stage{}
	defer s.clear()
	act := func() {
		harness.Require(s)
		network := harness.NewNetwork(s)
		dir := s.TempDir()
		say("Three gateways serve another machine: a Linux kernel, booted for this")
		c := harness.NewCluster(s, network, 3, harness.ClusterConfig{})
		c.CreateVolume("data", dir)
		guest := network.Boot(harness.GuestConfig{Name: "visitor"})
		used := c.Members[1]
		mounted := guest.Mount(harness.Mount{Server: used.Service.String(), Export: "/data", Version: "3", Port: 2049})
		show("%s", strings.TrimSpace(guest.Sh("/", "uname -sr; grep "+mounted+" /proc/mounts | cut -c1-150")))
		say("Its programs work in the mounted directory")
		display(guest.Sh(mounted, script))
		death(s, guest, mounted, used)
		guest.Sh("/", "umount "+mounted)
		entries, err := os.ReadDir(dir + "/project")
		if err != nil || len(entries) != 11 {
			s.Fatalf("the directory holds %d entries, not 11: %v", len(entries), err)
		}
		show("unmounted; all %d names lie in the directory", len(entries))
	}
	err := s.run(act)
	if skip := (skipped)(""); errors.As(err, &skip) {
		fmt.Printf("\n(The last act, in which a real Linux kernel mounts the volume, is left out: %s)\n", skip)
		return nil
	}
	return err
}

func display(text string) {
	for line := range strings.Lines(text) {
		show("%s", strings.TrimRight(line, "\n"))
	}
}

// death kills the gateway that the kernel uses while the kernel writes.
func death(s *stage, guest *harness.Guest, mounted string, used *harness.Member) {
	say("It writes records, and the gateway that it uses is killed")
	wrote := make(chan string, 1)
	go func() { wrote <- guest.Sh(mounted, records) }()
	lines := func() string {
		return strings.TrimSpace(guest.Sh("/", "cat /tmp/times 2>/dev/null | wc -l"))
	}
	until := func(n int) {
		for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			have := 0
			fmt.Sscan(lines(), &have)
			if have >= n {
				return
			}
			if time.Since(begun) > time.Minute {
				s.Fatalf("only %d of %d records were written", have, n)
			}
		}
	}
	until(20)
	used.Kill()
	show("gateway %s is gone; its address %v goes to another", used.Name, used.Service)
	at := 0
	fmt.Sscan(lines(), &at)
	until(at + 50)
	guest.Sh("/", "touch /tmp/enough")
	display(<-wrote)
	display(guest.Sh(mounted, after))
}
