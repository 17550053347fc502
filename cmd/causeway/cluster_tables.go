package main

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"causeway/cluster/record"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
)

// writeCluster prints tables for people.
func writeCluster(w io.Writer, st *member.Status) error {
	fmt.Fprintf(w, "cluster %s as %s sees it; %s places volumes; configuration database: %s\n", st.Cluster, st.Node, orNobody(st.Master), st.Database.Advice)
	if !st.Valid {
		fmt.Fprintf(w, "%s is cut off from the cluster and serves nothing until it has joined again\n", st.Node)
	}
	fmt.Fprintln(w)
	if err := writeNodes(w, st); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := writeVolumes(w, st); err != nil {
		return err
	}
	fmt.Fprintln(w)
	writeSettings(w, &st.Settings)
	writeEvents(w, st.Events)
	return nil
}

// shownEvents is how many of the last events people are shown; programs get all that there are.
const shownEvents = 12

func writeEvents(w io.Writer, events []member.Event) {
	if len(events) == 0 {
		return
	}
	fmt.Fprintln(w, "\nLATELY")
	for _, e := range events[max(len(events)-shownEvents, 0):] {
		fmt.Fprintf(w, "%s  %v\n", e.Time.Local().Format(time.DateTime), e)
	}
}

// usedOf is what a node reported of itself.
func usedOf(n *member.Node) string {
	if n.Utilization == nil {
		return "-"
	}
	return fmt.Sprintf("%d%%", *n.Utilization)
}

func writeNodes(out io.Writer, st *member.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tVOLUMES\tWEIGHT\tSHARE\tROOM\tUSED\tANSWERS AT\tPEER\tSINCE")
	for _, n := range st.Nodes {
		state, since := string(n.State), "-"
		if !n.Running {
			state = "down"
		} else {
			since = n.Since.Local().Format(time.DateTime)
		}
		if n.Fenced != "" {
			state = "fenced"
		}
		if n.HeldDown && state == string(record.Active) {
			state = "held down"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%.1f\t%.1f\t%s\t%s\t%s\t%s\n", n.Name, state, n.Owns, weightText(n.Weight, n.AutoWeight), n.Ideal, n.Remaining, usedOf(&n), orDash(answers(st, n.Name)), orDash(n.Peer), since)
	}
	return w.Flush()
}

// weightText is a weight as it is shown.
func weightText(weight uint64, auto bool) string {
	if auto {
		return fmt.Sprintf("%d (auto)", weight)
	}
	return fmt.Sprint(weight)
}

// answers lists the addresses where a node answers, with whose they are if they are not its own.
func answers(st *member.Status, node string) string {
	var words []string
	for _, a := range st.Addresses {
		switch {
		case a.At == node && a.Home == node:
			words = append(words, a.Address.String())
		case a.At == node:
			words = append(words, fmt.Sprintf("%v (of %s)", a.Address, a.Home))
		}
	}
	return strings.Join(words, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func writeNode(w io.Writer, st *member.Status, n *member.Node) error {
	var own []netip.Addr
	for _, a := range st.Addresses {
		if a.Home == n.Name {
			own = append(own, a.Address)
		}
	}
	_, err := fmt.Fprintf(w, "node %s: %s, running: %v, owns %s\n  service addresses %v\n  weight %s: its share of the volumes' weight is %.1f, of which %.1f is left\n"+
		"  groups %s\n  domains %s\n  utilization %s, reported every %v; threshold %s\n",
		n.Name, n.State, n.Running, counted(n.Owns, "volume"), own, weightText(n.Weight, n.AutoWeight), n.Ideal, n.Remaining,
		orDash(strings.Join(n.Groups, ", ")), strings.Join(append([]string{"all"}, n.Domains...), ", "),
		usedOf(n), time.Duration(n.UpdateInterval*float64(time.Second)), thresholdText(n.Threshold))
	for _, part := range slices.Sorted(maps.Keys(n.Parts)) {
		fmt.Fprintf(w, "    %s %d%%\n", part, n.Parts[part])
	}
	return err
}

func writeVolumes(out io.Writer, st *member.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VOLUME\tSTATE\tADMINISTERED BY\tSINCE\tEPOCH\tWEIGHT\tGROUP\tDOMAIN\tBACKEND")
	for i := range st.Volumes {
		v := &st.Volumes[i]
		since := "-"
		if !v.Since.IsZero() {
			since = v.Since.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "/%s\t%s\t%s\t%s\t%d.%d\t%s\t%s\t%s\t%s\n", v.Name, volumeState(v), orNobody(v.Owner), since, v.Epoch.Incarnation, v.Epoch.Revision,
			weightText(v.Weight, v.AutoWeight), orDash(v.Group), v.Domain, v.Backend)
	}
	for _, v := range st.Volumes {
		for node, why := range v.Refused {
			fmt.Fprintf(w, "/%s cannot be administered by %s: %s\n", v.Name, node, why)
		}
	}
	return w.Flush()
}

func volumeState(v *member.Volume) string {
	switch {
	case v.Moving:
		return "moving"
	case v.Serving:
		return "served"
	case v.Assigned == "":
		return "no node may have it"
	}
	return "waits for " + v.Assigned
}

func thresholdText(percent uint8) string {
	if percent == 0 {
		return "none"
	}
	return fmt.Sprintf("%d%%", percent)
}

func writeVolume(w io.Writer, v *member.Volume) error {
	by := "nobody"
	if v.Owner != "" {
		by = fmt.Sprintf("%s in epoch %d.%d", v.Owner, v.Epoch.Incarnation, v.Epoch.Revision)
	}
	_, err := fmt.Fprintf(w, "volume /%s (%v): %s, administered by %s\n  backend %s\n  weight %s, group %s, preferred node %s, may migrate: %v\n"+
		"  domain %s (%s), async: %v, exclusive: %v, read-only: %v\n", v.Name, v.ID, volumeState(v), by,
		v.Backend, weightText(v.Weight, v.AutoWeight), orDash(v.Group), orDash(v.Preferred), v.CanMigrate, v.Domain, v.DomainPolicy, v.Async, v.Exclusive, v.ReadOnly)
	if v.MirrorOf != "" {
		fmt.Fprintf(w, "  mirror of %s: aware clients that only read are sent here when its gateways are too busy\n", v.MirrorOf)
	}
	fmt.Fprintf(w, "  over SMB: %s\n", shareText((&record.Volume{SMB: &v.SMB}).Share()))
	for _, r := range (&record.Volume{Exports: v.Allow}).Volume().Exports {
		fmt.Fprintf(w, "  for %s\n", config.FormatRule(&r))
	}
	return err
}
