package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"causeway"
)

// unlockOrder names clients as causeway.Owner does, or by address; unlocked are those that held something.
type unlockOrder struct {
	Client string `json:"client"`
}

type unlocked struct {
	Clients []string `json:"clients"`
}

func newUnlock() *cobra.Command {
	o := &clusterCommand{use: "unlock CLIENT", short: "Release the locks of an NFS client that will not come back",
		example: "  causeway unlock 10.7.0.20             # all of the address\n  causeway unlock build7@10.7.0.20      # as causeway status shows it"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		out := unlocked{}
		text, err := c.order(ctx, "/unlock", unlockOrder{args[0]}, &out)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			_, err := fmt.Fprintf(w, "the locks of %s are released\n", strings.Join(out.Clients, ", "))
			return err
		})
	})
}

// unlock answers the command.
func (n *node) unlock(w http.ResponseWriter, r *http.Request) {
	var in unlockOrder
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !n.up.Load() {
		http.Error(w, "the gateway is still starting", http.StatusServiceUnavailable)
		return
	}
	names, err := n.nlm.Unlock(r.Context(), in.Client)
	switch {
	case causeway.CodeOf(err) == causeway.ErrDelay:
		err = fmt.Errorf("a volume moves, or has no administrator: its locks are not known now; give the command again")
	case err == nil && len(names) == 0:
		err = noSuch("client with locks", in.Client)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_ = json.NewEncoder(w).Encode(unlocked{names})
}
