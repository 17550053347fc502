//go:build linux

package aware

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"causeway/client"
	"causeway/e2e/harness"
)

// TestOnTheHost: a program on the host of a gateway reads by itself what another gateway's client writes, on a volume that others change too and on one
// that only gateways do. It sees each write that was acknowledged, and goes on when the gateway that lends dies.
func TestOnTheHost(t *testing.T) {
	sockets, err := os.MkdirTemp("", "cw-sockets-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	socket := func(i int) string { return filepath.Join(sockets, fmt.Sprint(i)) }
	s := setStageOn(t, 3, harness.ClusterConfig{Host: func(i int, _ *harness.Host) []string { return []string{"--aware-unix", socket(i)} }})
	for name, flags := range map[string][]string{"plain": nil, "exclusive": {"--exclusive"}} {
		dir := filepath.Join(sockets, name)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		s.CreateVolume(name, dir, append(flags, "--allow", "127.0.0.0/8=rw,no_root_squash,insecure")...)
	}
	s.AwaitRest(2)
	open := func(volume, local string, at ...string) *client.File {
		t.Helper()
		c, err := client.Dial(t.Context(), client.Config{Local: local, Dial: s.network.Test().Dial}, at...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		v, err := c.Volume(t.Context(), volume)
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.OpenFile(t.Context(), "file", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	type pair struct {
		volume         string
		writer, reader *client.File
	}
	var pairs []pair
	for _, volume := range []string{"plain", "exclusive"} {
		pairs = append(pairs, pair{volume, open(volume, "-", s.at(1), s.at(2)), open(volume, socket(0), s.at(0), s.at(1), s.at(2))})
	}
	counter := 0
	exchange := func(p pair, times int) (alone int) {
		t.Helper()
		for range times {
			counter++
			want := fmt.Sprintf("%08d", counter)
			if _, err := p.writer.WriteAt([]byte(want), 0); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				got := make([]byte, len(want))
				if _, err := p.reader.ReadAt(got, 0); err != nil || string(got) != want {
					t.Fatalf("%s: it reads %q, %v, and %s was written", p.volume, got, err, want)
				}
				if p.reader.Borrowed() {
					alone++
				}
			}
		}
		return alone
	}
	for _, p := range pairs {
		s.Await("the file of volume "+p.volume+" is lent", func() bool { return exchange(p, 1) > 0 })
		begun := time.Now()
		t.Logf("%s: after %d of 300 reads the file was lent, in %v", p.volume, exchange(p, 100), time.Since(begun))
	}
	s.Members[0].Kill()
	for _, p := range pairs {
		exchange(p, 20)
	}
}
