package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"causeway/cluster/record"
	"causeway/cmd/causeway/member"
	"causeway/redirect"
)

// redirectConfig is what the policy is told of the settings; the defaults, if a newer version has written what this one does not know.
func redirectConfig(s *record.Settings) redirect.Config {
	c, err := member.RedirectConfig(s)
	if err != nil {
		c, _ = member.RedirectConfig(record.DefaultSettings())
	}
	return c
}

// redirectFlags are those of `cluster set` about sending clients elsewhere.
type redirectFlags struct {
	ways                       []string
	average, addresses         bool
	margin, hysteresis, spread float64
	budget, hold, stale        int
	stay                       time.Duration
}

func (f *redirectFlags) register(set *pflag.FlagSet) {
	set.StringSliceVar(&f.ways, "redirect-ways", nil, `ways by which clients are sent elsewhere: path, no-path, table, poll, own, mirror, fail-over; "all" or "off"`)
	set.BoolVar(&f.average, "redirect-average", false, "gateways above the average of all send clients away, in place of those above their own --threshold")
	set.Float64Var(&f.margin, "redirect-margin", 5, "points of percent above the average that are too many")
	set.Float64Var(&f.hysteresis, "redirect-hysteresis", 5, "points of percent by which a gateway that gets clients stays below its threshold")
	set.IntVar(&f.budget, "redirect-budget", 32, "clients that one gateway sends away in an update interval at most")
	set.IntVar(&f.hold, "redirect-hold", 1, "reports in a row that must be over the threshold before clients go")
	set.DurationVar(&f.stay, "redirect-stay", 5*time.Minute, "how long a client that was moved is left where it is")
	set.IntVar(&f.stale, "redirect-stale", 3, "update intervals after which a gateway's report does not count any more")
	set.BoolVar(&f.addresses, "redirect-addresses", false, "a gateway that stays over its threshold gives service addresses of NFS clients to others, as causeway address move does")
	set.Float64Var(&f.spread, "redirect-spread", 2, "gateways are drawn by what they have free, to this power: the higher, the more go to the least busy one")
}

// fill takes those flags that were given.
func (f *redirectFlags) fill(cmd *cobra.Command, in *member.ClusterOrder) error {
	o, any := &member.RedirectSettings{}, false
	for name, put := range map[string]func(){
		"ways": func() { o.Ways = &f.ways }, "average": func() { o.Average = &f.average }, "margin": func() { o.Margin = &f.margin },
		"hysteresis": func() { o.Hysteresis = &f.hysteresis }, "budget": func() { o.Budget = &f.budget }, "hold": func() { o.Hold = &f.hold },
		"stay": func() { o.Stay = &f.stay }, "stale": func() { o.Stale = &f.stale }, "spread": func() { o.Spread = &f.spread },
		"addresses": func() { o.Addresses = &f.addresses },
	} {
		if cmd.Flags().Changed("redirect-" + name) {
			put()
			any = true
		}
	}
	if !any {
		return nil
	}
	in.Redirect = o
	if o.Ways == nil {
		return nil
	}
	switch strings.Join(f.ways, ",") {
	case "":
		return errors.New(`--redirect-ways: name some, or "all" or "off"`)
	case "all":
		f.ways = strings.Split(redirect.AllWays.String(), ",")
	case "off":
		f.ways = []string{}
	}
	_, err := redirect.ParseWays(f.ways)
	return err
}

func writeRedirects(w io.Writer, r *member.Redirects) {
	ways := "no way"
	if len(r.Ways) > 0 {
		ways = strings.Join(r.Ways, ", ")
	}
	over := "its threshold"
	if r.Average {
		over = fmt.Sprintf("the average plus %v%%", r.Margin)
	}
	fmt.Fprintf(w, "clients are sent elsewhere by %s: from a gateway that was over %s in %s, at most %d in an interval, and each again after %v\n", ways, over,
		counted(r.Hold, "report"), r.Budget, time.Duration(r.Stay*float64(time.Second)))
	if r.Addresses {
		fmt.Fprintln(w, "service addresses of NFS clients move away from a gateway that stays over that")
	}
}
