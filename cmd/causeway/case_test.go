package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/willscott/go-nfs-client/nfs"
)

// TestCaseInCluster: on a volume whose names have no case clients of NFS and SMB, at two gateways, mean the same file by the same spellings;
// the setting counts at once.
func TestCaseInCluster(t *testing.T) {
	c, dir := prepareCluster(t), share(t, "home")
	port := c.anotherPort()
	c.start("g1", "--bootstrap", "--smb", port)
	c.join("g2", "--smb", port)
	userCommand(t, c.at["g1"].state, "secret", "add", "ann", "--uid", "1000", "--gid", "1000")
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, exclusive := range []string{"false", "true"} {
		var v struct {
			SMB struct {
				CaseSensitive   bool `json:"case_sensitive"`
				CaseInsensitive bool `json:"case_insensitive"`
			}
		}
		name := "home" + exclusive
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		if err := os.Chmod(at, 0o777); err != nil {
			t.Fatal(err)
		}
		c.ask("g1", &v, "volume", "create", name, "--backend", "posix:"+at, "--exclusive="+exclusive, "--case", "insensitive", "--preferred", "g1")
		if v.SMB.CaseSensitive || !v.SMB.CaseInsensitive {
			t.Fatalf("%+v", v)
		}
		near, far := c.client("g1", name), c.client("g2", name)
		near.write("Report.TXT", "one")
		for _, u := range []*client{near, far} {
			if got := u.read("report.txt"); got != "one" {
				t.Errorf("exclusive %s, over NFS at %v: %q", exclusive, u.at, got)
			}
		}
		far.write("REPORT.txt", "two") // the same
		u, err := mountSMB(t, c.addr["g2"].String()+":"+port, "ann", "secret", name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := u.ReadFile("report.TXT"); err != nil || string(got) != "two" {
			t.Errorf("exclusive %s, over SMB: %q, %v", exclusive, got, err)
		}
		if err := u.WriteFile("FromSMB", []byte("three"), 0o644); err != nil {
			t.Error(err)
		}
		if got := far.read("fromsmb"); got != "three" {
			t.Errorf("exclusive %s, what SMB wrote: %q", exclusive, got)
		}
		near.do(func(target *nfs.Target) error {
			status := (*nfs.Error)(nil)
			if _, err := target.Mkdir("/FROMSMB", 0o755); err == nil || !os.IsExist(err) && !errors.As(err, &status) {
				return fmt.Errorf("a directory beside it: %w", err)
			}
			return nil
		})
		near.do(func(target *nfs.Target) error { return target.Remove("/REPORT.TXT") })
		if _, err := u.Stat("Report.TXT"); !os.IsNotExist(err) {
			t.Error("removed:", err)
		}
		if list, err := u.ReadDir(""); err != nil || len(list) != 1 || list[0].Name() != "FromSMB" {
			t.Errorf("exclusive %s: %v, %v", exclusive, list, err)
		}
		c.ask("g2", &v, "volume", "set", name, "--case", "sensitive")
		near.write("fromsmb", "another")
		if got := far.read("FromSMB"); got != "three" {
			t.Errorf("exclusive %s, when case counts: %q", exclusive, got)
		}
		if got, err := u.ReadFile("fromsmb"); err != nil || string(got) != "another" {
			t.Errorf("exclusive %s, over SMB when case counts: %q, %v", exclusive, got, err)
		}
	}
}
