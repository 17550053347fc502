package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"causeway/backend/posix"
	"causeway/cluster/address"
	"causeway/cluster/engine"
	"causeway/cluster/record"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
)

// nodeFlags are the words of `causeway node`.
type nodeFlags struct {
	membership
	config   config.Config
	peerText string
	service  []string
	watched  bool

	tokenFile string
}

// maxToken is more than a token has, in bytes.
const maxToken = 4 << 10

// readToken gets the token from where only its reader sees it.
func (f *nodeFlags) readToken(stdin io.Reader) error {
	if f.tokenFile == "" {
		return nil
	}
	if f.token != "" {
		return errors.New("--token and --token-file: say one of them")
	}
	from := stdin
	if f.tokenFile != "-" {
		file, err := os.Open(f.tokenFile)
		if err != nil {
			return fmt.Errorf("--token-file: %w", err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxToken))
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	if f.token = strings.TrimSpace(string(text)); f.token == "" {
		return fmt.Errorf("--token-file: there is no token in %s", f.tokenFile)
	}
	return nil
}

func newNode() *cobra.Command {
	f := &nodeFlags{config: config.Default()}
	c := &cobra.Command{
		Use:   "node --name NAME --service-address ADDRESS --peer ADDRESS:PORT",
		Short: "Run a gateway of a cluster, and manage the gateways of one",
		Long: "Run a gateway of a cluster. The first one is started with --bootstrap, the others with --join and the token that\n" +
			"`causeway token` prints at a gateway that runs; after that, the state directory says which cluster it is. Clients go to\n" +
			"service addresses, which other gateways take while this one does not run.\n\n" +
			"Ports up to five above that of --peer are used too: gateways must reach each other there.",
		Example: "  causeway node --name g1 --service-address 10.0.0.1 --peer 10.0.0.11:9441 --etcd https://e1:2379,https://e2:2379 --etcd-cacert ca.pem --etcd-cert gw.pem --etcd-key gw.key\n" +
			"  causeway node --name g1 --service-address 10.0.0.1 --peer 10.0.0.11:9441 --bootstrap\n" +
			"  causeway node --name g2 --service-address 10.0.0.2 --peer 10.0.0.12:9441 --join 10.0.0.11:9441 --token TOKEN",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(f.readToken(cmd.InOrStdin()), f.validate()); err != nil {
				return usage(cmd, err)
			}
			return runNode(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	set := c.Flags()
	set.StringVar(&f.name, "name", "", "name of the node, unique in the cluster")
	set.StringArrayVar(&f.service, "service-address", nil, "IP address that clients use; may be repeated")
	set.StringVar(&f.peerText, "peer", "", "IP address and port where other gateways reach this one")
	set.Uint16Var(&f.port, "port", 2049, "port of NFS at the service addresses, the same at all gateways")
	set.Uint16Var(&f.smbPort, "smb", 0, "port of SMB at the service addresses, the same at all gateways: 445; 0: none")
	set.StringVar(&f.config.Signing, "smb-signing", f.config.Signing, "required or offered: whether SMB requests that are neither signed nor encrypted are refused")
	set.BoolVar(&f.config.Groups, "groups", false, groupsHelp)
	set.BoolVar(&f.config.Portmap, "portmap", true, "answer on port 111 of the service addresses too, or register with rpcbind")
	set.StringVar(&f.network, "interface", "", "network interface for the service addresses (default: the one whose network contains them)")
	set.BoolVar(&f.bootstrap, "bootstrap", false, "make a new cluster")
	set.StringVar(&f.join, "join", "", "--peer of a gateway of the cluster that this one joins")
	set.StringVar(&f.token, "token", "", "what causeway token printed there; other users of the machine see it among the processes")
	set.StringVar(&f.tokenFile, "token-file", "", `file that holds it instead, "-": standard input`)
	set.BoolVar(&f.watched, "undertaker", true, "a small second process tells the others when this one crashes, so that they need not wait for its lease to end")
	set.DurationVar(&f.hangs, "storage-timeout", 30*time.Second, "after which storage that does not answer at all is taken for dead, and other gateways move the bytes; 2s or more")
	f.etcd.register(set)
	f.naming.register(set)
	awareFlags(set, &f.config)
	set.StringVar(&f.config.StateDir, "state-dir", "", "keys, certificates, records (default /var/lib/causeway for root, else the XDG state directory)")
	set.StringVar(&f.config.Admin, "admin", "off", `address of health, metrics and status over HTTP; "off": none`)
	set.StringVar(&f.config.LogFormat, "log-format", f.config.LogFormat, "text or json")
	set.StringVar(&f.config.LogLevel, "log-level", f.config.LogLevel, "debug, info, warn or error")
	c.AddCommand(newNodeList(), newNodeShow(), newNodeSet(), newNodeDrain(), newNodeRemove())
	return c
}

func (f *nodeFlags) validate() (err error) {
	switch {
	case f.name == "":
		return errors.New("--name is missing: what the node is called in the cluster")
	case len(f.service) == 0:
		return errors.New("--service-address is missing: where clients go")
	case f.peerText == "":
		return errors.New("--peer is missing: an address of this machine and a port, where other gateways reach it, as in 10.0.0.11:9441")
	}
	if f.peer, err = netip.ParseAddrPort(f.peerText); err != nil || f.peer.Addr().IsUnspecified() {
		return fmt.Errorf("--peer %q is not an IP address and port of this machine, as in 10.0.0.11:9441", f.peerText)
	}
	f.alone = !f.watched
	for _, text := range f.service {
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() || a.Zone() != "" {
			return fmt.Errorf("--service-address %q is not an IP address", text)
		}
		f.addresses = append(f.addresses, a.Unmap())
	}
	switch {
	case f.bootstrap && f.join != "":
		return errors.New("--bootstrap makes a cluster, --join joins one; say one of them")
	case (f.join == "") != (f.token == ""):
		return errors.New("--join and --token go together; causeway token prints both, at a gateway of the cluster")
	case len(f.etcd.endpoints) > 0 && (f.bootstrap || f.join != ""):
		return errors.New("--etcd says which cluster it is: the first gateway makes it, --bootstrap, --join and --token are not needed")
	case f.hangs < 2*time.Second:
		return fmt.Errorf("--storage-timeout %v is shorter than 2s", f.hangs)
	case f.port == 0:
		return errors.New("--port 0: all gateways must have the same port")
	}
	seed := record.Node{Name: f.name, State: record.Active}
	return errors.Join(seed.Validate(), f.etcd.validate(), f.naming.validate(), engine.CheckEndpoints(f.etcd.endpoints, true), f.config.Validate())
}

// runNode runs a gateway of a cluster until a signal ends it.
func runNode(ctx context.Context, f *nodeFlags, stdout, stderr io.Writer) error {
	ctx, stopNow := context.WithCancel(ctx)
	defer stopNow()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	log := newLogger(&f.config, stderr)
	err := posix.DropPrivileges()
	if err != nil {
		log.Warn("privileges of root that clients could profit from stay: quotas may be exceeded, set-user-id bits may survive a write", "err", err)
	}
	if f.survivor, err = address.NewGuard(); err != nil {
		log.Warn("if this process is killed, clients are told at once, and some wait for seconds before they ask elsewhere", "err", err)
	}
	n, err := startMember(ctx, &f.config, &f.membership, log)
	if err != nil {
		return err
	}
	warnUnprivileged(stderr, euid())
	fmt.Fprintf(stdout, "causeway %s: gateway %s of a cluster, for other gateways at %s, for clients at", versionText(), f.name, n.member.Peer())
	for _, a := range f.addresses {
		fmt.Fprintf(stdout, " %v", netip.AddrPortFrom(a, f.port))
	}
	fmt.Fprintln(stdout)
	if f.smbPort != 0 {
		fmt.Fprintf(stdout, "SMB clients at the same addresses, port %d; causeway user add NAME lets somebody in\n", f.smbPort)
	}
	fmt.Fprintln(stdout, "ready")
	notify(log, daemon.SdNotifyReady)
	r := &reloader{log: log}
	r.node.Store(n)
	return wait(ctx, n, r, signals)
}

func newNodeList() *cobra.Command {
	o := &clusterCommand{use: "ls", short: "List the nodes of the cluster"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		st, text, err := clusterStatus(ctx, c)
		if err != nil {
			return err
		}
		return o.print(w, text, st.Nodes, func() error { return writeNodes(w, st) })
	})
}

func newNodeShow() *cobra.Command {
	o := &clusterCommand{use: "show NAME", short: "Show a node of the cluster"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		st, _, err := clusterStatus(ctx, c)
		if err != nil {
			return err
		}
		for i := range st.Nodes {
			if st.Nodes[i].Name == args[0] {
				return o.print(w, nil, st.Nodes[i], func() error { return writeNode(w, st, &st.Nodes[i]) })
			}
		}
		return noSuch("node", args[0])
	})
}

func newNodeSet() *cobra.Command {
	o, in, flags := &clusterCommand{use: "set NAME", short: "Change what is set for a node"}, member.NodeOrder{}, nodeSettings{}
	c := o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		in.Name = args[0]
		if err := o.something(); err != nil {
			return err
		}
		flags.fill(o.cmd, &in)
		text, err := c.order(ctx, "/cluster/node/set", &in, nil)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { _, err := fmt.Fprintf(w, "node %s is changed\n", args[0]); return err })
	})
	flags.weight.value = 1
	c.Flags().Var(&flags.weight, "weight", "its share of the load, against the other nodes'; auto: as measured, 10 for the average node")
	c.Flags().StringSliceVar(&flags.groups, "groups", nil, "groups of volumes that belong to it, the most important first")
	c.Flags().StringSliceVar(&flags.domains, "domains", nil, "domains it is in, besides all")
	c.Flags().DurationVar(&flags.interval, "update-interval", time.Minute, "how often it reports its load, 1s to 1h")
	c.Flags().Uint8Var(&flags.threshold, "threshold", 0, "percent of utilization above which it sends clients elsewhere; 0: never")
	c.Flags().BoolVar(&flags.active, "active", false, "may own volumes again, after drain")
	return c
}

// nodeSettings are the flags of `node set`.
type nodeSettings struct {
	weight          weightFlag
	groups, domains []string
	interval        time.Duration
	threshold       uint8
	active          bool
}

// fill takes those flags that were given.
func (f *nodeSettings) fill(cmd *cobra.Command, in *member.NodeOrder) {
	given := cmd.Flags().Changed
	if given("weight") {
		in.Weight, in.AutoWeight = f.weight.settings()
	}
	if given("groups") {
		in.Groups = &f.groups
	}
	if given("domains") {
		in.Domains = &f.domains
	}
	if given("update-interval") {
		in.UpdateInterval = &f.interval
	}
	if given("threshold") {
		in.Threshold = &f.threshold
	}
	if f.active {
		state := record.Active
		in.State = &state
	}
}

func newNodeDrain() *cobra.Command {
	o := &clusterCommand{use: "drain NAME", short: "Give a node's volumes to others, and wait until that is done; undo with: node set NAME --active"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		state := record.Draining
		if _, err := c.order(ctx, "/cluster/node/set", &member.NodeOrder{Name: args[0], State: &state}, nil); err != nil {
			return err
		}
		for said := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			st, _, err := clusterStatus(ctx, c)
			if err != nil {
				return err
			}
			owns := []string{}
			for _, v := range st.Volumes {
				if v.Owner == args[0] {
					owns = append(owns, v.Name)
				}
			}
			if len(owns) == 0 {
				o.needed(st, args[0])
				return o.print(w, nil, map[string]string{"drained": args[0]}, func() error { _, err := fmt.Fprintf(w, "node %s owns no volumes any more\n", args[0]); return err })
			}
			if time.Since(said) > time.Second {
				said = time.Now()
				fmt.Fprintf(o.cmd.ErrOrStderr(), "it owns still: %s\n", strings.Join(owns, " "))
			}
		}
	})
}

func newNodeRemove() *cobra.Command {
	o := &clusterCommand{use: "rm NAME", short: "Forget a node that does not run"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		text, err := c.order(ctx, "/cluster/node/rm", member.Named{Name: args[0]}, nil)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			_, err := fmt.Fprintf(w, "node %s is removed; its certificate is good until causeway cluster rotate-ca, and a restart of the gateways\n", args[0])
			return err
		})
	})
}
