package utilization

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Machine returns a reading of the machine's processors and of the network interfaces that this process sees (proc(5), sysfs): At, CPUBusy,
// CPUTotal and Links. In a network namespace of its own it sees others than sysfs, which may know their speed or not.
func Machine() Reading { return machine(os.ReadFile, "/proc/stat", "/proc/net/dev", "/sys/class/net") }

func machine(read func(string) ([]byte, error), stat, dev, net string) Reading {
	r := Reading{At: monotonic()}
	if text, err := read(stat); err == nil {
		r.CPUBusy, r.CPUTotal = processors(text)
	}
	text, err := read(dev)
	if err != nil {
		return r
	}
	const bitsInMega = 1e6 / 8
	r.Links = interfaces(text)
	for i := range r.Links {
		if text, err := read(filepath.Join(net, r.Links[i].Name, "speed")); err == nil {
			if v, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil { // -1 where it is not known
				r.Links[i].BytesInSecond = min(v, 1e7) * bitsInMega
			}
		}
	}
	return r
}

// interfaces reads /proc/net/dev: two lines of headings, then one for each interface, its name, eight counters of what came in, the first of
// which is bytes, and those of what went out.
func interfaces(text []byte) (out []Link) {
	for line := range strings.Lines(string(text)) {
		name, counters, ok := strings.Cut(line, ":")
		fields := strings.Fields(counters)
		if name = strings.TrimSpace(name); !ok || len(fields) < 9 || name == "" || strings.Contains(name, "/") || name == "." || name == ".." {
			continue
		}
		in, errIn := strconv.ParseUint(fields[0], 10, 64)
		outward, errOut := strconv.ParseUint(fields[8], 10, 64)
		if errIn == nil && errOut == nil {
			out = append(out, Link{Name: name, BytesIn: in, BytesOut: outward})
		}
	}
	return out
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
