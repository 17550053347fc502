package main

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"causeway/e2e/posix/pulse"
)

// runPulse answers datagrams for ever: each is the number of a record, which is written, and read back together with the one before.
// The answer is the number, and what failed.
func runPulse(args []string) int {
	flags := flag.NewFlagSet("pulse", flag.ExitOnError)
	dir := flags.String("dir", ".", "directory of the file")
	flags.Parse(args)
	f, err := os.OpenFile(filepath.Join(*dir, pulse.FileName), os.O_CREATE|os.O_RDWR|unix.O_DIRECT|unix.O_SYNC, 0o644)
	if err != nil {
		return failed(err)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: pulse.Port})
	if err != nil {
		return failed(err)
	}
	aligned, err := unix.Mmap(-1, 0, 3*pulse.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return failed(err)
	}
	want, got, question := aligned[:pulse.Size], aligned[pulse.Size:2*pulse.Size], make([]byte, 100)
	for {
		n, from, err := conn.ReadFromUDP(question)
		if err != nil {
			return failed(err)
		}
		number := uint64(0)
		if _, err := fmt.Sscan(string(question[:n]), &number); err != nil {
			continue
		}
		answer := fmt.Sprint(number)
		if err := beat(f, number, want, got); err != nil {
			answer += " " + err.Error()
		}
		if _, err := conn.WriteToUDP([]byte(answer), from); err != nil {
			return failed(err)
		}
	}
}

// beat writes a record, and reads it and the one before.
func beat(f *os.File, number uint64, want, got []byte) error {
	pulse.Fill(want, number)
	if _, err := f.WriteAt(want, int64(number)*pulse.Size); err != nil {
		return err
	}
	for _, n := range []uint64{number, max(number, 1) - 1} {
		pulse.Fill(want, n)
		if _, err := f.ReadAt(got, int64(n)*pulse.Size); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("record %d differs", n)
		}
	}
	return nil
}
