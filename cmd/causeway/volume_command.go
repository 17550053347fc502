package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"causeway"
	"causeway/cluster/record"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
)

func newVolume() *cobra.Command {
	c := &cobra.Command{
		Use:   "volume",
		Short: "Manage the volumes of a cluster",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newVolumeCreate(), newVolumeList(), newVolumeShow(), newVolumeSet(), newVolumeRemove())
	return c
}

// volumeSettings are the flags that create and set share.
type volumeSettings struct {
	weight                           weightFlag
	group, domain, policy, preferred string
	mirrorOf, passwordFile           string
	canMigrate, async, readOnly      bool
	allow                            []string
	share                            shareFlags
}

func (f *volumeSettings) register(c *cobra.Command) {
	set := c.Flags()
	f.weight.value = 1
	set.Var(&f.weight, "weight", "its load, against the other volumes'; auto: as measured, in percent of gateways")
	set.StringVar(&f.group, "group", "", "group of volumes; nodes that have it are taken first")
	set.StringVar(&f.domain, "domain", record.AllDomain, "domain of the nodes that may administer it")
	set.StringVar(&f.policy, "domain-policy", string(record.Reach), "what nodes outside of the domain do: reach (forward requests) or strict (refuse)")
	set.StringVar(&f.preferred, "preferred", "", "node that administers it whenever it runs")
	set.BoolVar(&f.canMigrate, "can-migrate", true, "may go to nodes that do not have its group")
	set.BoolVar(&f.async, "async", false, "acknowledge names and attributes before they are on disk")
	set.BoolVar(&f.readOnly, "read-only", false, "let nobody change anything")
	set.StringVar(&f.passwordFile, "password-file", "", "file whose first line is the password of USER, for smb://USER@HOST/SHARE")
	set.StringVar(&f.mirrorOf, "mirror-of", "", "volume that offers the same: aware clients that only read it are sent here when its gateways are too busy; for read-only volumes")
	set.StringArrayVar(&f.allow, "allow", config.Default().Allow,
		"who may mount: CIDR=ro|rw[,root_squash|no_root_squash|all_squash,anonuid=N,anongid=N,secure|insecure]; may be repeated")
	f.share.register(set)
}

// fill takes those flags that were given, or all.
func (f *volumeSettings) fill(cmd *cobra.Command, all bool, in *member.VolumeOrder) error {
	given := func(name string) bool { return all || cmd.Flags().Changed(name) }
	policy := record.DomainPolicy(f.policy)
	for name, put := range map[string]func(){
		"weight": func() { in.Weight, in.AutoWeight = f.weight.settings() }, "group": func() { in.Group = &f.group }, "domain": func() { in.Domain = &f.domain },
		"domain-policy": func() { in.DomainPolicy = &policy }, "preferred": func() { in.Preferred = &f.preferred },
		"can-migrate": func() { in.CanMigrate = &f.canMigrate }, "async": func() { in.Async = &f.async },
		"read-only": func() { in.ReadOnly = &f.readOnly }, "mirror-of": func() { in.MirrorOf = &f.mirrorOf },
	} {
		if given(name) {
			put()
		}
	}
	if f.passwordFile != "" {
		var err error
		if in.Password, err = readPasswordFile(f.passwordFile); err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
	}
	if err := f.share.fill(given, in); err != nil {
		return usage(cmd, err)
	}
	if !given("allow") {
		return nil
	}
	in.Allow = []causeway.ExportRule{}
	for _, text := range f.allow {
		r, err := config.ParseRule(text)
		if err != nil {
			return usage(cmd, fmt.Errorf("--allow: %w", err))
		}
		in.Allow = append(in.Allow, r)
	}
	return nil
}

func newVolumeCreate() *cobra.Command {
	o, f, in := &clusterCommand{use: "create NAME --backend posix:DIR|smb://USER@HOST/SHARE",
		short: "Make a directory that the gateways share, or a share of another server, a volume",
		example: "  causeway volume create home --backend posix:/mnt/shared/home --allow 10.0.0.0/8=rw\n" +
			"  causeway volume create old --backend smb://ann@fileserver/data --password-file /etc/causeway/ann"}, volumeSettings{}, member.VolumeOrder{}
	c := o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		in.Name = args[0]
		if dir, ok := strings.CutPrefix(in.Backend, "posix:"); ok && dir != "" && !strings.HasPrefix(dir, "/") {
			full, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			in.Backend = "posix:" + full
		}
		if err := f.fill(o.cmd, true, &in); err != nil {
			return err
		}
		return o.volume(ctx, c, "/cluster/volume/create", &in, w)
	})
	f.register(c)
	c.Flags().BoolVar(&in.Exclusive, "exclusive", false, "promise that nothing but the gateways ever changes it, so that attributes and names may be cached")
	c.Flags().StringVar(&in.Backend, "backend", "", "where its files are: posix:DIR, a directory that every gateway of its domain has, or smb://USER@HOST/SHARE")
	c.Flags().Uint32Var(&in.UID, "uid", 0, "owner of everything in a share of another server")
	c.Flags().Uint32Var(&in.GID, "gid", 0, "its group")
	return c
}

func newVolumeSet() *cobra.Command {
	o, f, in := &clusterCommand{use: "set NAME", short: "Change what is set for a volume"}, volumeSettings{}, member.VolumeOrder{}
	c := o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		in.Name = args[0]
		if err := o.something(); err != nil {
			return err
		}
		if err := f.fill(o.cmd, false, &in); err != nil {
			return err
		}
		return o.volume(ctx, c, "/cluster/volume/set", &in, w)
	})
	f.register(c)
	return c
}

// volume sends an order that is answered with a volume.
func (o *clusterCommand) volume(ctx context.Context, c *control, path string, in *member.VolumeOrder, w io.Writer) error {
	v := member.Volume{}
	text, err := c.order(ctx, path, in, &v)
	if err != nil {
		return err
	}
	return o.print(w, text, nil, func() error { return writeVolume(w, &v) })
}

func newVolumeList() *cobra.Command {
	o := &clusterCommand{use: "ls", short: "List the volumes of the cluster"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		st, text, err := clusterStatus(ctx, c)
		if err != nil {
			return err
		}
		return o.print(w, text, st.Volumes, func() error { return writeVolumes(w, st) })
	})
}

func newVolumeShow() *cobra.Command {
	o := &clusterCommand{use: "show NAME", short: "Show a volume of the cluster"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		st, _, err := clusterStatus(ctx, c)
		if err != nil {
			return err
		}
		for i := range st.Volumes {
			if v := &st.Volumes[i]; v.Name == args[0] {
				return o.print(w, nil, v, func() error { return writeVolume(w, v) })
			}
		}
		return noSuch("volume", args[0])
	})
}

func newVolumeRemove() *cobra.Command {
	o := &clusterCommand{use: "rm NAME", short: "Forget a volume; its files stay where they are"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		text, err := c.order(ctx, "/cluster/volume/rm", member.Named{Name: args[0]}, nil)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			_, err := fmt.Fprintf(w, "volume %s is removed; its files are untouched\n", args[0])
			return err
		})
	})
}
