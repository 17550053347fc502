package main

import (
	"fmt"

	"causeway/cmd/causeway/member"
)

// needed warns whoever drains a node to stop it, if the configuration database would lose its quorum with it.
func (o *clusterCommand) needed(st *member.Status, node string) {
	votes, answer, here := 0, 0, false
	for _, s := range st.Database.Servers {
		if !s.Votes {
			continue
		}
		votes++
		if s.Answers {
			answer++
		}
		here = here || s.Name == node
	}
	if here && answer-1 < votes/2+1 {
		fmt.Fprintf(o.cmd.ErrOrStderr(), "do not stop %s now: it runs a server of the configuration database, of whose %d servers %d answer\n", node, votes, answer)
	}
}
