// The command bench measures causeway beside other NFS servers, workload by workload: the server's CPU time per unit of
// work, rates and latencies for information. See README.md for how to read its table.
//
//	go run ./e2e/bench [flags]
//	go run ./e2e/bench scale [flags]
//	go run ./e2e/bench cluster [flags]
//	go run ./e2e/bench smb [flags]
//
// It needs root, for a network namespace per server. Peers that are not installed are left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"causeway/e2e/bench/workload"
)

// standard is what is measured without flags.
var standard = []string{
	"null-c1q32",
	"getattr-c1q32", "getattr-c8q1", "getattr-c64q1",
	"read4k-c1q32", "read4k-c8q1", "read4k-c64q1",
	"lookup-c8q1",
	"write4k-c8q1", "write4k-c1q32",
	"read1m-c1q1", "read1m-c8q1",
	"write1m-c1q1", "write1m-c8q1", "overwrite1m-c8q1",
	"create4k-c8q1", "create4k-filesync-c8q1", "unlink-c8q1",
	"readdirplus-c1q1",
}

// options are the flags.
type options struct {
	servers, base, also, dir, json, profile, causeway string
	workloads                                         string
	rounds, threads, uid, count                       int
	duration                                          time.Duration
	verify, list                                      bool
}

func (o *options) flags(set *flag.FlagSet) {
	set.StringVar(&o.servers, "servers", "causeway,causeway-async,ganesha,gonfs", "which servers, of "+kindNames())
	set.StringVar(&o.base, "base", "ganesha", "the server that others are divided by")
	set.StringVar(&o.workloads, "workloads", "", "regular expression that names of standard workloads must match")
	set.StringVar(&o.also, "also", "", "further workloads, KIND-cCONNECTIONSqOUTSTANDING,…")
	set.IntVar(&o.rounds, "rounds", 3, "rounds, of which medians are taken")
	set.DurationVar(&o.duration, "duration", 2*time.Second, "of one measurement, where the workload does not end by itself")
	set.IntVar(&o.count, "count", 0, "files of one measurement of the workloads that make or remove files; 0: the kind's own")
	set.IntVar(&o.threads, "threads", 0, "threads of the generator; 0: one per connection up to two")
	set.IntVar(&o.uid, "uid", 0, "user who owns the files and makes the calls")
	set.StringVar(&o.dir, "dir", "", "where the exported directories are made, and kept; empty: a temporary directory")
	set.StringVar(&o.json, "json", "", "file for all samples and the table")
	set.StringVar(&o.profile, "profile", "", "directory for a CPU profile of causeway per workload, taken after the rounds")
	set.StringVar(&o.causeway, "causeway", "", "the causeway binary; empty: build it")
	set.BoolVar(&o.verify, "verify", false, "compare every byte of bulk reads (costs the generator a pass over the data)")
	set.BoolVar(&o.list, "list", false, "list kinds and standard workloads, and stop")
}

func main() {
	debug.SetGCPercent(400) // the generator allocates little; it should not be interrupted
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	args, run := os.Args[1:], compare
	if len(args) > 0 {
		switch args[0] {
		case "scale":
			args, run = args[1:], scale
		case "cluster":
			args, run = args[1:], clusters
		case "aware":
			args, run = args[1:], awares
		case "smb":
			args, run = args[1:], compareSMB
		}
	}
	if err := run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		cancel()
		os.Exit(1)
	}
}

// compare is the command without a subcommand.
func compare(ctx context.Context, args []string) error {
	var o options
	set := flag.NewFlagSet("bench", flag.ExitOnError)
	o.flags(set)
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("there is no kind %q of comparison: aware, cluster, scale, smb, or flags only", set.Arg(0))
	}
	workloads, err := o.selection()
	if err != nil {
		return err
	}
	if o.list {
		for _, w := range workloads {
			fmt.Println(w.FullName())
		}
		return nil
	}
	return o.withFleet(ctx, func(f *fleet) error {
		samples := measureAll(ctx, f, plan{
			workloads: workloads, rounds: o.rounds, duration: o.duration, threads: o.threads,
			verify: o.verify, seed: uint64(time.Now().UnixNano()),
		})
		return errors.Join(o.report(samples, f), o.profiles(ctx, f, workloads))
	})
}

// selection is the workloads that the flags ask for.
func (o *options) selection() (list []workload.Workload, err error) {
	match, err := regexp.Compile(o.workloads)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Clone(standard), func(name string) bool { return !match.MatchString(name) })
	if o.also != "" {
		names = append(names, strings.Split(o.also, ",")...)
	}
	for _, name := range names {
		w, err := workload.Parse(name)
		if err != nil {
			return nil, err
		}
		if o.count > 0 && w.Shape.Count > 0 {
			w.Shape.Count = o.count
		}
		list = append(list, w)
	}
	return list, nil
}

// withFleet builds and starts the servers around f.
func (o *options) withFleet(ctx context.Context, f func(*fleet) error) error {
	base := o.dir
	if base == "" {
		var err error
		if base, err = os.MkdirTemp("", "causeway-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(base)
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(base, 0o755); err != nil { // other users than root must reach the exports
		return err
	}
	names := strings.Split(o.servers, ",")
	p, err := build(ctx, names, filepath.Join(base, "bin"), o.causeway)
	if err != nil {
		return err
	}
	servers, err := assemble(ctx, names, p, base, o.uid)
	if err != nil {
		return err
	}
	defer servers.stop()
	return f(servers)
}

func (o *options) report(samples []Sample, f *fleet) error {
	lines := summarise(samples, o.base, func(w, server string) float64 {
		for _, m := range f.members {
			if m.name == server && m.ours {
				return target(w, m.durable)
			}
		}
		return 0
	})
	table(os.Stdout, lines, o.base)
	if o.json == "" {
		return nil
	}
	machine := fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	return writeJSON(o.json, results{When: time.Now().UTC(), Machine: machine, Base: o.base, Lines: lines, Samples: samples})
}
