package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// programs are the binaries that were built for this run.
type programs struct{ causeway, gonfs string }

// kind is a way to run a server.
type kind struct {
	name  string
	start func(context.Context, programs, peer.Config) (*peer.Server, error)
	// creates bounds how many files a server may have made before it is started anew; 0: no bound.
	creates int
	// durable says that it answers CREATE and REMOVE only when they are on disk, which has a target of its own.
	durable bool
	ours    bool // has targets
}

// causeway is a kind that runs our own binary with options.
func causeway(name string, durable bool, options ...string) kind {
	return kind{name: name, durable: durable, ours: true,
		start: func(ctx context.Context, p programs, cfg peer.Config) (*peer.Server, error) {
			return peer.StartCauseway(ctx, p.causeway, cfg, options...)
		}}
}

// kinds is the table of servers that can be compared.
var kinds = []kind{
	causeway("causeway", true),
	causeway("causeway-async", false, "--async"),
	causeway("exclusive", true, "--exclusive"),
	causeway("exclusive-async", false, "--exclusive", "--async"),
	{
		name: "ganesha",
		// Its count of open files leaks; near 19,800 it answers JUKEBOX and burns CPU.
		creates: 10000,
		start: func(ctx context.Context, _ programs, cfg peer.Config) (*peer.Server, error) {
			return peer.StartGanesha(ctx, cfg)
		},
	},
	{
		name: "gonfs",
		start: func(ctx context.Context, p programs, cfg peer.Config) (*peer.Server, error) {
			return peer.StartGoNFS(ctx, p.gonfs, cfg)
		},
	},
}

// member is a server of this run.
type member struct {
	kind
	cfg     peer.Config
	tree    *workload.Tree
	server  *peer.Server
	created int
}

// fleet is all servers of a run, all started, one working at a time.
type fleet struct {
	programs programs
	members  []*member
}

// assemble prepares a directory per server and starts them. A server that cannot be started is said so and left out.
func assemble(ctx context.Context, names []string, p programs, base string, uid int) (*fleet, error) {
	f := &fleet{programs: p}
	for _, name := range names {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no server is called %q; there are %s", name, kindNames())
		}
		m := &member{
			kind: kinds[i],
			cfg:  peer.Config{Dir: filepath.Join(base, name, "export"), Work: filepath.Join(base, name, "work")},
		}
		m.tree = &workload.Tree{Dir: m.cfg.Dir, UID: uid, GID: uid, Sizes: workload.Standard}
		if err := errors.Join(os.MkdirAll(m.cfg.Dir, 0o755), m.tree.Prepare()); err != nil {
			return nil, err
		}
		if err := f.start(ctx, m); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", name, err)
			continue
		}
		f.members = append(f.members, m)
	}
	if len(f.members) == 0 {
		return nil, errors.New("no server could be started")
	}
	return f, nil
}

func kindNames() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func (f *fleet) start(ctx context.Context, m *member) (err error) {
	m.created = 0
	m.server, err = m.kind.start(ctx, f.programs, m.cfg)
	return err
}

// reserve starts a server anew when it could not make so many more files, or when it has died.
func (f *fleet) reserve(ctx context.Context, m *member, creates int) error {
	full := m.creates > 0 && m.created+creates > m.creates
	if m.server.Running() && !full {
		m.created += creates
		return nil
	}
	m.server.Stop()
	if err := f.start(ctx, m); err != nil {
		return err
	}
	m.created = creates
	return nil
}

func (f *fleet) stop() {
	for _, m := range f.members {
		m.server.Stop()
	}
}

// build compiles what the servers need, from the module that the working directory lies in. What cannot be built is said;
// its servers will be left out.
func build(ctx context.Context, names []string, into, ready string) (p programs, err error) {
	p = programs{causeway: filepath.Join(into, "causeway"), gonfs: filepath.Join(into, "gonfs")}
	sources := make(map[string]string)
	for _, name := range names {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		switch {
		case name == "gonfs":
			sources[p.gonfs] = "causeway/e2e/peer/gonfs"
		case i >= 0 && kinds[i].ours && ready == "":
			sources[p.causeway] = "causeway/cmd/causeway"
		}
	}
	if ready != "" {
		if p.causeway, err = filepath.Abs(ready); err != nil {
			return p, err
		}
	}
	for program, source := range sources {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", program, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: go build %s: %v\n%s", source, err, text)
		}
	}
	return p, nil
}
