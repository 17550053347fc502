package smb_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"causeway/backend/mem"
	"causeway/gateway/smb"
)

// eachAtMost is how long one test of smbtorture may take: the longest wait twice for a break that nobody acknowledges.
const eachAtMost = 150 * time.Second

// atOnce is how many of them run beside each other.
const atOnce = 4

// listTests asks smbtorture for the tests of the suites, each by its full name, in its order.
func listTests(t *testing.T, suites []string) (tests []string) {
	out, err := exec.Command("smbtorture", "--list").Output()
	if err != nil {
		t.Skip("smbtorture is not installed")
	}
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line)
		if strings.ContainsRune(name, ' ') {
			continue
		}
		if slices.Contains(suites, suiteOf(name)) && !slices.Contains(tests, name) {
			tests = append(tests, name)
		}
	}
	return tests
}

// short is a test's name without the word that smbtorture repeats at its end.
func short(test string) string {
	words := strings.Split(test, ".")
	if n := len(words); n > 2 && words[n-1] == words[n-2] {
		words = words[:n-1]
	}
	return strings.Join(words, ".")
}

// suiteOf is the suite of a test: two words of its name.
func suiteOf(test string) string {
	words := strings.SplitN(test, ".", 3)
	return strings.Join(words[:min(len(words), 2)], ".")
}

// verdicts runs tests one by one, each in a process of its own with a time limit, and returns what each ended with.
func verdicts(t *testing.T, tests []string, serve func(t *testing.T, worker int) (args []string)) map[string]string {
	var mu sync.Mutex
	all := make(map[string]string, len(tests))
	free := make(chan int, atOnce)
	for i := range atOnce {
		free <- i
	}
	t.Run("tests", func(t *testing.T) {
		for _, name := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				worker := <-free
				t.Cleanup(func() { free <- worker }) // runs after the server has ended
				ctx, cancel := context.WithTimeout(t.Context(), eachAtMost)
				defer cancel()
				v, out := verdict(ctx, append(serve(t, worker), name))
				if dir := os.Getenv("CAUSEWAY_SMBTORTURE_LOGS"); dir != "" {
					os.WriteFile(filepath.Join(dir, name+".log"), out, 0o644)
				}
				mu.Lock()
				defer mu.Unlock()
				all[short(name)] = v
			})
		}
	})
	return all
}

// verdict runs one test.
func verdict(ctx context.Context, args []string) (verdict string, out []byte) {
	cmd := exec.CommandContext(ctx, "smbtorture", args...)
	cmd.WaitDelay = 5 * time.Second
	out, _ = cmd.CombinedOutput()
	verdict = "timeout"
	for line := range strings.Lines(string(out)) {
		switch word, _, _ := strings.Cut(line, ": "); word {
		case "success", "failure", "error", "skip":
			verdict = word
		}
	}
	return verdict, out
}

// TestSmbtortureAll runs whole suites test by test and prints, for each, how many pass here, how many with Debian's smbd, how many
// of those pass here, and which do not. It takes minutes, and is run only by name: CAUSEWAY_SMBTORTURE=all, or the
// suites that are meant.
func TestSmbtortureAll(t *testing.T) {
	suites := strings.Fields(os.Getenv("CAUSEWAY_SMBTORTURE"))
	switch {
	case len(suites) == 0 || suites[0] == "smbd":
		t.Skip("takes long: CAUSEWAY_SMBTORTURE=all")
	case suites[0] == "all":
		suites = long
	}
	tests := listTests(t, suites)
	ours := verdicts(t, tests, func(t *testing.T, _ int) []string {
		s := serve(t, mem.New(mem.Config{Mode: 0o777}), listen(t), func(c *smb.Config) { c.AllowUnsigned = true }) // some tests cannot sign
		_, port, _ := strings.Cut(s.addr, ":")
		return []string{"//127.0.0.1/vol", "-U", "u%p", "-p", port}
	})
	theirs := smbdVerdicts(t)
	fmt.Println("| suite | pass here | pass with smbd | of these here | pass with smbd and not here | pass with neither, or are skipped |\n|---|---|---|---|---|---|")
	for _, suite := range suites {
		fmt.Println(row(suite, tests, ours, theirs))
	}
}

func row(suite string, tests []string, ours, theirs map[string]string) string {
	passed, both, of := 0, 0, 0
	var missing, neither []string
	for _, name := range tests {
		if suiteOf(name) != suite {
			continue
		}
		name = short(name)
		here, there := ours[name] == "success", theirs[name] == "success"
		last := name[strings.LastIndexByte(name, '.')+1:]
		switch {
		case here && there:
			passed, both, of = passed+1, both+1, of+1
		case here:
			passed++
		case there:
			of++
			missing = append(missing, last)
		default:
			neither = append(neither, last)
		}
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %s | %s |", suite, passed, of, both, strings.Join(missing, " "), strings.Join(neither, " "))
}

// smbdResults is what smbtorture found with Debian's smbd: lines of suite, test and verdict.
const smbdResults = "testdata/smbd-4.17.txt"

func smbdVerdicts(t *testing.T) map[string]string {
	b, err := os.ReadFile(smbdResults)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] != "#" {
			all[f[1]] = f[2]
		}
	}
	return all
}

// TestSmbdVerdicts runs the suites against Debian's smbd and writes testdata/smbd-4.17.txt anew. It takes as long, needs root, and
// the port 445 of an address that nobody else uses: CAUSEWAY_SMBTORTURE="smbd 127.0.0.77", behind it suites, if not all are meant.
func TestSmbdVerdicts(t *testing.T) {
	asked := strings.Fields(os.Getenv("CAUSEWAY_SMBTORTURE"))
	if len(asked) < 2 || asked[0] != "smbd" {
		t.Skip(`writes the peer's results: CAUSEWAY_SMBTORTURE="smbd 127.0.0.77"`)
	}
	suites := asked[2:]
	all := smbdVerdicts(t)
	if len(suites) == 0 {
		clear(all)
		suites = append(slices.Clone(long), peers...)
	}
	startSmbd(t, asked[1])
	tests := listTests(t, suites)
	for name, v := range verdicts(t, tests, func(_ *testing.T, worker int) []string {
		return []string{fmt.Sprintf("//%s/vol%d", asked[1], worker), "-U", smbdUser + "%p"}
	}) {
		all[name] = v
	}
	b := []byte("# smbtorture 4.17 against Debian's smbd 4.17, test by test: suite, test, verdict. docs/smbtorture.md says how\n")
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(suiteOf(a), suiteOf(b)), cmp.Compare(a, b)) })
	for _, name := range names {
		b = fmt.Appendf(b, "%s %s %s\n", suiteOf(name), name, all[name])
	}
	if err := os.WriteFile(smbdResults, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// smbdUser is an account that every Debian has and nobody uses.
const smbdUser = "games"

// startSmbd runs smbd with the settings of Samba's own tests as far as they matter to what is tested, and a share per worker.
func startSmbd(t *testing.T, addr string) {
	smbd, err := exec.LookPath("smbd")
	if err != nil {
		t.Skip("smbd is not installed")
	}
	dir, err := os.MkdirTemp("", "smbd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755) // its users come through
	conf := strings.NewReplacer("$DIR", dir, "$ADDR", addr).Replace(smbdConf)
	for i := range atOnce {
		share := fmt.Sprintf("%s/vol%d", dir, i)
		os.Mkdir(share, 0o777)
		os.Chmod(share, 0o777)
		conf += fmt.Sprintf("[vol%d]\npath = %s\nread only = no\n", i, share)
	}
	// One process asks as the user whether another one that has a file open still lives: he must get to where that stands, or no open of
	// another process counts.
	for _, d := range []string{"private", "lock", "state", "cache", "pid", "ncalrpc", "log"} {
		os.Mkdir(filepath.Join(dir, d), 0o755)
	}
	file := filepath.Join(dir, "smb.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	add := exec.Command("smbpasswd", "-c", file, "-L", "-s", "-a", smbdUser)
	add.Stdin = strings.NewReader("p\np\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("smbpasswd: %v\n%s", err, out)
	}
	cmd := exec.Command(smbd, "-s", file, "--foreground", "--no-process-group")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if b, err := os.ReadFile(filepath.Join(dir, "pid", "samba-dcerpcd.pid")); err == nil { // what it has started goes on without it
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				syscall.Kill(pid, syscall.SIGTERM)
			}
		}
	})
	for range 100 {
		if exec.Command("smbclient", "-L", addr, "-U", smbdUser+"%p").Run() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("smbd does not answer")
}

const smbdConf = `[global]
netbios name = PEER
server role = standalone server
interfaces = $ADDR/8
bind interfaces only = yes
smb ports = 445
disable netbios = yes
disable spoolss = yes
load printers = no
private dir = $DIR/private
lock directory = $DIR/lock
state directory = $DIR/state
cache directory = $DIR/cache
pid directory = $DIR/pid
ncalrpc dir = $DIR/ncalrpc
log file = $DIR/log/log
passdb backend = tdbsam
server multi channel support = yes
kernel oplocks = no
kernel share modes = no
oplocks = yes
level2 oplocks = yes
smb2 leases = yes
durable handles = yes
posix locking = no
strict locking = yes
strict sync = yes
strict rename = yes
ea support = yes
store dos attributes = yes
map archive = no
map hidden = no
map system = no
map readonly = no
create mask = 0777
directory mask = 0777
acl allow execute always = no
dos filemode = yes
smbd:FSCTL_SMBTORTURE = yes
smbd:validate_oplock_cache_period = 1
smbd:writetimeupdatedelay = 500000
vfs objects = acl_xattr streams_xattr
acl_xattr:ignore system acls = yes
`
