package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"causeway/admin"
)

func newStatus() *cobra.Command {
	flags, asJSON := &stateFlags{}, false
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the volumes, clients, locks and throughput of a running gateway",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := flags.path()
			if err != nil {
				return err
			}
			c := newControl(dir)
			text, err := c.do(cmd.Context(), "GET", "/status")
			if err != nil {
				return err
			}
			of, clusterText, err := clusterStatus(cmd.Context(), c)
			if err != nil && !errors.Is(err, errNoCluster) {
				return err
			}
			if asJSON {
				return writeStatusJSON(cmd.OutOrStdout(), text, clusterText)
			}
			st := &admin.Status{}
			if err := json.Unmarshal(text, st); err != nil {
				return fmt.Errorf("the gateway's answer cannot be read: %w", err)
			}
			if of == nil {
				return writeStatus(cmd.OutOrStdout(), st)
			}
			if err := writeCluster(cmd.OutOrStdout(), of); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nGateway %s:\n", of.Node)
			return writeStatus(cmd.OutOrStdout(), st)
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// writeStatusJSON adds what is known of the cluster, if there is one, as "cluster" to a gateway's status.
func writeStatusJSON(w io.Writer, gateway, cluster []byte) error {
	if cluster == nil {
		_, err := w.Write(gateway)
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(gateway, &fields); err != nil {
		return err
	}
	fields["cluster"] = cluster
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(fields)
}

// writeStatus prints tables for people. Scripts read the JSON.
func writeStatus(out io.Writer, st *admin.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	writeSummary(w, st)
	fmt.Fprintf(w, "\nVOLUME\tPATH\tUSED\tFREE\tMODE\tCALLS\tIN\tOUT\tID\n")
	for _, v := range st.Volumes {
		used, free := size(v.Used), size(v.Avail)
		if v.Error != "" {
			used, free = "?", v.Error
		}
		fmt.Fprintf(w, "/%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", v.Name, v.Path, used, free, strings.Join(v.Modes, ","),
			v.Calls, size(v.BytesIn), size(v.BytesOut), v.ID)
	}
	writeClients(w, st.Clients)
	if len(st.Locks) > 0 {
		fmt.Fprintf(w, "\nLOCK\tOBJECT\tCLIENT\tRANGE\tPROTOCOL\n")
	}
	for _, l := range st.Locks {
		fmt.Fprintf(w, "/%s\t%s\t%s\t%s\t%s\n", l.Volume, l.Object, l.Client, lockRange(&l), l.Protocol)
	}
	return w.Flush()
}

func writeSummary(w io.Writer, st *admin.Status) {
	p, r, t, l := &st.Process, &st.Rates, &st.Traffic, &st.Locking
	fmt.Fprintf(w, "causeway %s, %s for %v, process %d: %s of memory, %d of %d descriptors, %.1f s of CPU\n", p.Version, p.State,
		time.Duration(p.Uptime*float64(time.Second)).Round(time.Second), p.PID, size(p.Memory), p.Descriptors, p.MaxDescriptors, p.CPU)
	fmt.Fprintf(w, "%.0f calls/s, in %s/s, out %s/s; %s, %d calls wait\n", r.Calls, size(uint64(r.BytesIn)),
		size(uint64(r.BytesOut)), counted(t.Connections, "connection"), t.InFlight)
	fmt.Fprintf(w, "%s held, %d waited for, %s with locks or reclaims; %s remembered for retransmissions\n", counted(l.Held, "lock"), l.Waiting,
		counted(l.Clients, "client"), counted(st.Replies.Entries, "answer"))
	if b := st.SMB; b != nil {
		fmt.Fprintf(w, "SMB: %s, %s (%d signed, %d encrypted), %s, in %s, out %s; %s\n", counted(b.Connections, "connection"), counted(b.Sessions, "session"),
			b.Signed, b.Encrypted, counted(b.Opens, "open"), size(uint64(b.BytesIn)), size(uint64(b.BytesOut)), counted(int(b.LogonFailures), "failed logon"))
	}
	if l.Grace {
		fmt.Fprintf(w, "grace period: only locks of before the restart are given out, for %.0f s at most\n", l.GraceLeft)
	}
	for _, v := range st.Volumes {
		if v.Storage.SyncErrors > 0 {
			fmt.Fprintf(w, "volume %s: %s failed; see the log\n", v.Name, counted(int(v.Storage.SyncErrors), "sync"))
		}
	}
	for _, e := range st.Errors {
		fmt.Fprintln(w, "not known:", e)
	}
}

func writeClients(w io.Writer, clients []admin.Client) {
	if len(clients) == 0 {
		fmt.Fprintf(w, "\nno clients\n")
		return
	}
	fmt.Fprintf(w, "\nCLIENT\tCONNECTIONS\tCALLS\tIN\tOUT\tLOCKS\tMOUNTS\tSINCE\n")
	for _, c := range clients {
		since := "not connected"
		if !c.Since.IsZero() {
			since = c.Since.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%d\t%s\t%s\n", c.Address, c.Connections, c.Calls, size(c.BytesIn), size(c.BytesOut), c.Locks,
			strings.Join(c.Mounts, ","), since)
	}
}

func lockRange(l *admin.Lock) string {
	kind, end := "shared", "end"
	if l.Exclusive {
		kind = "exclusive"
	}
	if l.End != 0 {
		end = fmt.Sprint(l.End)
	}
	return fmt.Sprintf("%s %d–%s", kind, l.Start, end)
}

// size prints bytes with three digits and a binary unit.
func size(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.3g %ciB", f, units[i])
}
