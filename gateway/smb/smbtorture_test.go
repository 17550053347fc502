package smb_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway/smb"
)

// run is a call of Samba's smbtorture 4.17: a suite or some of its tests, and those that do not pass, with the reason.
type run struct {
	suite string
	tests []string // none: all
	known map[string]string
}

const (
	streams   = "named streams"
	anonymous = "anonymous logons are refused"
	controls  = "a control code of smbd alone, for its own tests"
	foreign   = "a session is bound only by the client that has it, by its GUID"
	recorded  = "what looks like a recorded request is not answered with a second signature under one nonce of AES-GMAC"
)

// quick are the runs that take a few seconds each.
var quick = []run{
	{suite: "smb2.connect"},
	{suite: "smb2.credits"},
	{suite: "smb2.tcon"},
	{suite: "smb2.mkdir"},
	{suite: "smb2.read", known: map[string]string{"bug14607": controls}},
	{suite: "smb2.rw", known: map[string]string{"invalid": "wants files to end at 16 TiB"}},
	{suite: "smb2.rename"},
	{suite: "smb2.deny"},
	{suite: "smb2.sharemode"},
	{suite: "smb2.delete-on-close-perms"},
	{suite: "smb2.compound_async"},
	{suite: "smb2.compound_find"},
	{suite: "smb2.sdread"},
	{suite: "smb2.dir", known: map[string]string{"one": "short names in listings"}},
	{suite: "smb2.getinfo", known: map[string]string{"complex": streams, "normalized": streams}},
	{suite: "smb2.compound", known: map[string]string{"compound-padding": streams}},
	{suite: "smb2.create", known: map[string]string{
		"gentest": "an open for SYNCHRONIZE alone", "open": "the allocation of what was overwritten", "quota-fake-file": "quotas",
	}},
	{suite: "smb2.acls", known: map[string]string{"ACCESSBASED": "needs a special share"}},
	{suite: "smb2.ioctl", known: map[string]string{"copy-chunk": streams, "bug14607": controls, "bug14769": controls}},
	{suite: "smb2.winattr"},
	{suite: "smb2.openattr"},
	{suite: "smb2.lock", known: map[string]string{
		"replay_broken_windows": "resilient handles",
	}},
	{suite: "smb2.session", known: map[string]string{
		"reauth5": anonymous,
		"bind2":   recorded, "bind_negative_smb3signHtoCd": foreign, "bind_negative_smb3signCtoHd": foreign,
	}},
	{suite: "smb2.durable-open"},
	{suite: "smb2.durable-open-disconnect"},
	{suite: "smb2.durable-v2-open"},
	{suite: "smb2.oplock", tests: strings.Fields("exclusive5 exclusive9 batch1 batch6 batch7 batch9 batch9a batch10 batch12 batch13 batch14 batch16")},
	{suite: "smb2.lease", tests: strings.Fields("upgrade upgrade2 upgrade3 statopen2 breaking1 breaking3 v2_breaking3 breaking6 v2_complex1 rename_wait duplicate_create duplicate_open v2_epoch1 v2_epoch2 v2_request_parent")},
	{suite: "smb2.replay", tests: strings.Fields("replay-commands replay-regular replay-dhv2-oplock1 replay-dhv2-oplock3 replay-dhv2-oplock-lease replay-dhv2-lease1 " +
		"replay-dhv2-lease2 replay-dhv2-lease3 replay-dhv2-lease-oplock channel-sequence replay3 replay4 replay6")},
	{suite: "smb2.notify", tests: strings.Fields("close logoff tdis tdis1 tcon session-reconnect invalid-reauth double file overflow tcp rmdir1 rmdir2 rmdir3 rmdir4")},
}

// long are whole suites, as TestSmbtortureAll runs them.
var long = strings.Fields("smb2.connect smb2.tcon smb2.read smb2.rw smb2.mkdir smb2.create smb2.rename smb2.dir smb2.getinfo smb2.setinfo " +
	"smb2.compound smb2.compound_find smb2.compound_async smb2.credits smb2.session smb2.ioctl smb2.lock smb2.deny smb2.sharemode " +
	"smb2.delete-on-close-perms smb2.timestamps smb2.fileid smb2.secleak smb2.maxfid smb2.oplock smb2.lease smb2.durable-open " +
	"smb2.durable-v2-open smb2.durable-open-disconnect smb2.durable-v2-delay smb2.notify smb2.replay smb2.acls smb2.sdread smb2.openattr smb2.winattr")

// peers are suites of what is not served; the peer's results are kept for comparison.
var peers = strings.Fields("smb2.streams smb2.kernel-oplocks smb2.multichannel smb2.maximum_allowed smb2.ea smb2.dosmode " +
	"smb2.aio_delay smb2.charset smb2.samba3misc smb2.session-id smb2.set-sparse-ioctl smb2.zero-data-ioctl smb2.ioctl-on-stream")

// torture runs smbtorture against a server of its own, and returns the verdict on each test, by its last name.
func torture(t *testing.T, limit time.Duration, tests ...string) (verdicts map[string]string, out []byte) {
	program, err := exec.LookPath("smbtorture")
	if err != nil {
		t.Skip("smbtorture is not installed")
	}
	v := &causeway.Volume{ID: 7, Name: "vol", Mandatory: true, Async: true}                                         // names change on the goroutine that reads
	s := serveAs(t, v, mem.New(mem.Config{Mode: 0o777}), listen(t), func(c *smb.Config) { c.AllowUnsigned = true }) // some tests cannot sign
	_, port, _ := strings.Cut(s.addr, ":")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, _ = exec.CommandContext(ctx, program, append([]string{"//127.0.0.1/vol", "-U", "u%p", "-p", port}, tests...)...).CombinedOutput()
	verdicts = make(map[string]string)
	for line := range strings.Lines(string(out)) {
		verdict, rest, _ := strings.Cut(line, ": ")
		name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		switch verdict {
		case "success", "failure", "error", "skip":
			verdicts[name] = verdict
		case "test":
			verdicts[name] = "out of time"
		}
	}
	return verdicts, out
}

// again runs a test by itself that has failed beside others, and returns its verdict unless it succeeds three times in a row: many tests measure
// times, and blame the server for a busy machine.
func again(t *testing.T, test string) (verdict string) {
	name := test[strings.LastIndex(test, ".")+1:]
	for range 3 {
		verdicts, _ := torture(t, 5*time.Minute, test)
		if verdict = verdicts[name]; verdict != "success" {
			return "again " + verdict
		}
	}
	return verdict
}

// TestSmbtorture runs what is quick. It signs only where it wants to.
func TestSmbtorture(t *testing.T) {
	for _, r := range quick {
		t.Run(r.suite, func(t *testing.T) {
			t.Parallel()
			tests := []string{r.suite}
			if len(r.tests) > 0 {
				tests = nil
			}
			for _, name := range r.tests {
				tests = append(tests, r.suite+"."+name)
			}
			verdicts, out := torture(t, 5*time.Minute, tests...)
			passed := 0
			for name, verdict := range verdicts {
				if verdict != "success" && verdict != "skip" && r.known[name] == "" {
					t.Logf("%s: %s\n%s", name, verdict, out)
					verdict = again(t, r.suite+"."+name)
				}
				switch {
				case verdict == "success":
					passed++
				case verdict != "skip" && r.known[name] == "":
					t.Errorf("%s: %s", name, verdict)
				}
			}
			if passed == 0 || passed < len(r.tests) || t.Failed() {
				t.Errorf("%d passed\n%s", passed, out)
			}
		})
	}
}
