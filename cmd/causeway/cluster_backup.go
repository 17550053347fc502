package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"causeway/cluster"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
	"causeway/cmd/causeway/state"
)

func newClusterBackup() *cobra.Command {
	o := &clusterCommand{use: "backup FILE", short: "Write what is set in the cluster, with its keys, into a file",
		example: "  causeway cluster backup /root/causeway.backup"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		text, err := c.do(ctx, "GET", "/cluster/backup")
		if err != nil {
			return err
		}
		b, err := cluster.ParseBackup(text)
		if err != nil {
			return err
		}
		if err := state.Replace(args[0], text); err != nil {
			return err
		}
		out := map[string]any{"file": args[0], "cluster": b.Cluster, "records": len(b.Records), "revision": b.Revision}
		return o.print(w, nil, out, func() error {
			_, err := fmt.Fprintf(w, "%s holds %d records of cluster %s. Keep it secret: who has it can join the cluster and forge handles.\n",
				args[0], len(b.Records), b.Cluster)
			return err
		})
	})
}

// restoring is what `cluster restore` is told.
type restoring struct {
	name, peer, dir string
	etcd            external
	asJSON          bool
}

func newClusterRestore() *cobra.Command {
	r := &restoring{}
	c := &cobra.Command{
		Use:   "restore FILE --name NAME --peer ADDRESS:PORT",
		Short: "Make a cluster of a backup, when its configuration database is lost",
		Long: "Make a cluster of a backup, when its configuration database is lost: in a state directory that belongs to no cluster, or in an\n" +
			"empty etcd. No gateway of the cluster may run. Afterwards start causeway node here with the same --name, --peer and\n" +
			"--state-dir; the other gateways join with a token, with a state directory that has no directory cluster.",
		Example: "  causeway cluster restore /root/causeway.backup --name g1 --peer 10.0.0.11:9441",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd, args[0])
		},
	}
	c.Flags().StringVar(&r.name, "name", "", "name of this gateway")
	c.Flags().StringVar(&r.peer, "peer", "", "as causeway node will be told")
	c.Flags().StringVar(&r.dir, "state-dir", "", "as causeway node will be told")
	c.Flags().BoolVar(&r.asJSON, "json", false, "as JSON")
	r.etcd.register(c.Flags())
	return c
}

// restoreWithin bounds how long a restore may take.
const restoreWithin = 2 * time.Minute

func (r *restoring) run(cmd *cobra.Command, file string) error {
	peer, err := netip.ParseAddrPort(r.peer)
	if err != nil || r.name == "" {
		return usage(cmd, errors.New("--name and --peer are missing: as causeway node will be told"))
	}
	if err := r.etcd.validate(); err != nil {
		return usage(cmd, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b, err := cluster.ParseBackup(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	path, err := stateDir(r.dir)
	if err != nil {
		return err
	}
	d, err := state.Open(path)
	if err != nil {
		return explainState(err)
	}
	defer d.Close()
	sub, err := d.Sub("cluster")
	if err != nil {
		return err
	}
	mc := membership{peer: peer}
	quiet := config.Default()
	quiet.Level = slog.LevelWarn
	cfg := cluster.Config{Node: r.name, Dir: sub, Peer: r.peer, EnginePeer: mc.at(enginePeerPort), EngineClient: mc.at(engineClientPort),
		External: r.etcd.endpoints, Log: newLogger(&quiet, cmd.ErrOrStderr())}
	if cfg.ExternalTLS, err = r.etcd.tls(); err != nil {
		return err
	}
	if peer.Port() == 0 {
		cfg.EnginePeer, cfg.EngineClient = "", ""
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), restoreWithin)
	defer cancel()
	if err := cluster.Restore(ctx, cfg, b); err != nil {
		return err
	}
	if r.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"cluster": b.Cluster, "records": len(b.Records)})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "the cluster %s of %s is restored with %d records; start causeway node --name %s --peer %s with this state directory\n",
		b.Cluster, b.Taken.Local().Format(time.DateTime), len(b.Records), r.name, r.peer)
	return nil
}

func newClusterRotate() *cobra.Command {
	o := &clusterCommand{use: "rotate-ca", short: "Replace the cluster's certificate authority, and all certificates"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		out := member.Rotated{}
		text, err := c.order(ctx, "/cluster/rotate-ca", struct{}{}, &out)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			if !out.Done {
				_, err := fmt.Fprintln(w, "all gateways that run have new certificates;", out.Note)
				return err
			}
			_, err := fmt.Fprintln(w, "all gateways have new certificates, and the old authority is not trusted any more; tokens of before are void")
			return err
		})
	})
}
