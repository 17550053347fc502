//go:build linux

package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
)

// TestNotShared gives a gateway other directories in place of those that the others share: a copy of one, made while it was served,
// with its marker and all, and an empty one in place of another. It must not administer either, and leaves both as they are.
func TestNotShared(t *testing.T) {
	t.Parallel()
	network := harness.NewNetwork(t)
	c := harness.NewCluster(t, network, 2, harness.ClusterConfig{})
	root := t.TempDir()
	dirs := map[string]string{"copied": filepath.Join(root, "shared", "copied"), "missing": filepath.Join(root, "shared", "missing")}
	for name, dir := range dirs {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		c.CreateVolume(name, dir)
	}
	c.AwaitRest(2)
	other := filepath.Join(root, "other")
	if out, err := exec.Command("cp", "-a", filepath.Join(root, "shared"), other).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(other, "missing")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(other, "missing"), 0o777); err != nil {
		t.Fatal(err)
	}
	before := listing(t, other)
	token, peer := c.Token()
	stranger := c.AddElsewhere(other, filepath.Join(root, "shared"), "--join", peer, "--token", token)
	for name := range dirs {
		if err := c.Members[0].Order("/cluster/volume/set", map[string]any{"name": name, "preferred": stranger.Name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	refused := func() (n int) {
		for _, v := range c.Seen().Volumes {
			if strings.Contains(v.Refused[stranger.Name], "not the file system of the other gateways") {
				n++
			}
		}
		return n
	}
	c.Await("it refuses both volumes", func() bool { return refused() == 2 })
	c.Await("the others serve both", func() bool {
		for _, v := range c.Seen().Volumes {
			if !v.Serving || v.Owner == stranger.Name {
				return false
			}
		}
		return true
	})
	if after := listing(t, other); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
	// A copy that was made later is one too.
	if out, err := exec.Command("sh", "-euc", "rm -rf $1/copied/.causeway; cp -a $0/copied/. $1/copied", filepath.Join(root, "shared"), other).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stranger.Stop()
	stranger.Start()
	c.Await("it is a member again, and refuses", func() bool { return refused() == 2 })
	time.Sleep(100 * time.Millisecond)
	for _, v := range c.Seen().Volumes {
		if v.Owner == stranger.Name {
			t.Errorf("%+v", v)
		}
	}
}

// listing is what is below a directory.
func listing(t *testing.T, dir string) string {
	out, err := exec.Command("sh", "-euc", "cd $0; find . -type f -exec cksum {} + | sort; find . | sort", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
