package utilization

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Machine returns a reading of the machine's processors and network interfaces (proc(5), sysfs): At, CPUBusy, CPUTotal and Links.
func Machine() Reading { return machine(os.ReadFile, "/proc/stat", "/sys/class/net") }

func machine(read func(string) ([]byte, error), stat, net string) Reading {
	r := Reading{At: monotonic()}
	if text, err := read(stat); err == nil {
		r.CPUBusy, r.CPUTotal = processors(text)
	}
	names, err := os.ReadDir(net)
	if err != nil {
		return r
	}
	for _, n := range names {
		number := func(file string) uint64 {
			text, err := read(filepath.Join(net, n.Name(), file))
			if err != nil {
				return 0
			}
			v, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64) // -1 for a speed that is not known
			if err != nil {
				return 0
			}
			return v
		}
		const bitsInMega = 1e6 / 8
		r.Links = append(r.Links, Link{Name: n.Name(), BytesIn: number("statistics/rx_bytes"), BytesOut: number("statistics/tx_bytes"),
			BytesInSecond: min(number("speed"), 1e7) * bitsInMega})
	}
	return r
}

// processors reads the first line of /proc/stat: time in user, nice, system, idle, iowait, irq, softirq, steal, guest and guest_nice,
// of which the last two stand in the first two already.
func processors(text []byte) (busy, total uint64) {
	line, _, err := bufio.NewReader(bytes.NewReader(text)).ReadLine()
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(line))
	if len(fields) < 5 || fields[0] != "cpu" {
		return 0, 0
	}
	for i, f := range fields[1:min(len(fields), 9)] {
		v, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, 0
		}
		total += v
		if i != 3 && i != 4 { // idle, iowait
			busy += v
		}
	}
	return busy, total
}
