package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"

	"causeway/cmd/causeway/member"
)

// testVersions says in the environment which protocol versions a gateway claims to speak.
const testVersions = "CAUSEWAY_TEST_VERSIONS"

// TestRollingUpgrade: gateways of two neighbouring versions work together. One after the other is drained, stopped and started as the
// newer version, while a client of each works and is told of no error. Then the newer version is all that is allowed.
func TestRollingUpgrade(t *testing.T) {
	c := prepareCluster(t)
	c.peer = freePorts(t, "127.0.0.1", "127.0.0.2", "127.0.0.3") // gateways find one another again after a restart
	c.startAll()
	var v member.Volume
	for _, name := range []string{"home", "data", "mail"} {
		c.ask("g1", &v, "volume", "create", name, "--backend", "posix:"+share(t, name))
	}
	users, wrote, written := map[string]*client{}, map[string][]int{}, 0
	work := func() (longest time.Duration) {
		for name := range c.addr {
			if users[name] == nil {
				users[name] = c.client(name, "home")
			}
			for range 5 {
				longest = max(longest, users[name].write(fmt.Sprintf("%s-%d", name, written), fmt.Sprint(written)))
				wrote[name] = append(wrote[name], written)
				written++
			}
		}
		return longest
	}
	work()
	if _, stderr, code := run(t, "cluster", "set", "--min-version", "2", "--state-dir", c.at["g1"].state); code == 0 || !strings.Contains(stderr, "1 to 1") {
		t.Errorf("a version that nobody speaks is demanded: %s", stderr)
	}
	t.Setenv(testVersions, "1-2") // of those that are started from now on
	for _, name := range []string{"g3", "g2", "g1"} {
		if _, stderr, code := run(t, "node", "drain", name, "--state-dir", c.at["g2"].state); code != 0 {
			t.Fatalf("drain %s: %s", name, stderr)
		}
		drained := work()
		if err := c.at[name].signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s stops: %v", name, err)
		}
		stopped := work()
		c.start(name)
		started := work()
		c.until("all servers of the database answer", func() bool {
			answer := 0
			for _, s := range c.status(name).Database.Servers {
				if s.Votes && s.Answers {
					answer++
				}
			}
			return answer == 3
		})
		if _, stderr, code := run(t, "node", "set", name, "--active", "--state-dir", c.at[name].state); code != 0 {
			t.Errorf("%s: %s", name, stderr)
		}
		t.Logf("%s: clients waited for %v at most after it was drained, %v after it was stopped, %v after its start", name, drained, stopped, started)
	}
	for name, numbers := range wrote {
		for _, n := range numbers {
			if got := users["g1"].read(fmt.Sprintf("%s-%d", name, n)); got != fmt.Sprint(n) {
				t.Errorf("%s-%d reads %q", name, n, got)
			}
		}
	}
	text, err := newControl(c.at["g1"].state).do(t.Context(), "GET", "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`causeway_cluster_volumes_count{state="served"} 3`, `causeway_cluster_member_count 1`, `causeway_cluster_nodes_count{state="active"} 3`,
		`causeway_cluster_database_servers_count{state="answering"} 3`, `causeway_cluster_addresses_count{home="own"} 1`, `causeway_cluster_pause_seconds_count`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	var s member.Settings
	c.ask("g1", &s, "cluster", "set", "--min-version", "2")
	if s.MinVersion != 2 {
		t.Errorf("%+v", s)
	}
	if err := c.at["g3"].signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	t.Setenv(testVersions, "1-1")
	old := []string{"node", "--name", "g3", "--service-address", "127.0.0.3", "--peer", "127.0.0.3:0", "--port", fmt.Sprint(c.port)}
	begun := command(t, append(old, "--state-dir", c.at["g3"].state)...)
	out := &running{t: t}
	begun.Stderr = out
	if err := begun.Start(); err != nil {
		t.Fatal(err)
	}
	defer begun.Wait()
	defer begun.Process.Kill()
	c.until("the old version is refused", func() bool { return strings.Contains(out.logged(), "needs protocol version 2") })
}

// TestSettingsEverywhere: what is set at one gateway counts at all of them when the command returns.
func TestSettingsEverywhere(t *testing.T) {
	c, dir := startCluster(t), share(t, "home")
	var v member.Volume
	c.ask("g2", &v, "volume", "create", "home", "--backend", "posix:"+dir)
	for i := range 6 {
		readOnly := i%2 == 0
		c.ask([]string{"g1", "g2", "g3"}[i%3], &v, "volume", "set", "home", fmt.Sprintf("--read-only=%v", readOnly))
		if v.ReadOnly != readOnly {
			t.Errorf("round %d: %+v", i, v)
		}
		for name := range c.addr {
			u := c.client(name, "home")
			u.do(func(*nfs.Target) error { return nil }) // mounts
			_, err := u.target.Mkdir(fmt.Sprintf("/%s-%d", name, i), 0o755)
			if refused := err != nil; refused != readOnly {
				t.Errorf("round %d at %s: read-only %v, and MKDIR: %v", i, name, readOnly, err)
			}
		}
	}
	for _, words := range [][]string{
		{"node", "set", "g2", "--weight", "3", "--groups", "sales,all", "--domains", "here", "--threshold", "70", "--update-interval", "1s"},
		{"rebalance", "--schedule", "0 12 * * *"}, {"rebalance", "--schedule", "30 2 * * *", "--thorough"},
		{"cluster", "set", "--hold-down", "5s", "--move-budget", "7"},
	} {
		var any map[string]any
		c.ask("g1", &any, words...)
	}
	st := c.status("g3")
	if s := st.Settings; s.HoldDown != 5 || s.Budget != 7 || len(s.Schedules) != 2 || s.Schedules[1].Next.Hour() != 2 && s.Schedules[1].Next.Local().Hour() != 2 {
		t.Errorf("%+v", s)
	}
	for _, n := range st.Nodes {
		if n.Name == "g2" && (n.Weight != 3 || len(n.Groups) != 2 || n.Threshold != 70 || n.UpdateInterval != 1 || n.Domains[0] != "here") {
			t.Errorf("%+v", n)
		}
	}
	c.until("g2 reports its load", func() bool {
		for _, n := range c.status("g1").Nodes {
			if n.Name == "g2" && n.Utilization != nil && len(n.Parts) == 4 {
				return true
			}
		}
		return false
	})
	for _, words := range []string{"rebalance --schedule nonsense", "rebalance --schedule @every_1s", "node set g9 --weight 1", "node set g1 --threshold 101",
		"node set g1 --update-interval 1ms", "volume set nothing --weight 2", "volume set home --domain -x", "cluster set", "cluster set --hold-down -1s"} {
		if _, stderr, code := run(t, append(strings.Fields(words), "--state-dir", c.at["g1"].state)...); code == 0 || stderr == "" {
			t.Errorf("%s is taken", words)
		}
	}
	file := filepath.Join(t.TempDir(), "backup")
	if _, stderr, code := run(t, "cluster", "backup", file, "--state-dir", c.at["g1"].state); code != 0 {
		t.Error(stderr)
	}
	var rotated member.Rotated
	if c.ask("g2", &rotated, "cluster", "rotate-ca"); !rotated.Done {
		t.Errorf("%+v", rotated)
	}
	c.client("g3", "home").write("after", "the rotation")
	for name := range c.addr {
		c.at[name].signal(syscall.SIGKILL)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	if _, stderr, code := run(t, "cluster", "restore", file, "--name", "g1", "--peer", "127.0.0.1:0", "--state-dir", restored); code != 0 {
		t.Fatal(stderr)
	}
	c.at = map[string]*running{"g1": {state: restored}}
	c.start("g1")
	u := c.client("g1", "home")
	if got := u.read("after"); got != "the rotation" {
		t.Errorf("%q", got)
	}
	if e := c.status("g1"); e.Volumes[0].Epoch.Incarnation < 2 || len(e.Events) == 0 {
		t.Errorf("%+v", e)
	}
}
