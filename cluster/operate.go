package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"causeway"
	"causeway/cluster/record"
)

// ErrRunning says that a node cannot be removed because it runs.
var ErrRunning = errors.New("the node is running: drain and stop it first")

// RemoveNode forgets a node that does not run, with its server of the database: another gateway will run one in its place.
func (c *Cluster) RemoveNode(ctx context.Context, name string) error {
	item := c.Table().Get(record.Named(record.KindNode, name))
	if item == nil {
		return fmt.Errorf("node %s: %w", name, causeway.ErrNoEnt)
	}
	member := record.Named(record.KindMember, name)
	if c.Table().Get(member) != nil {
		return fmt.Errorf("node %s: %w", name, ErrRunning)
	}
	txn := record.Remove(item)
	txn.If = append(txn.If, record.Absent(member))
	txn.Then = append(txn.Then, record.Delete(record.Named(record.KindServer, name)))
	done, err := c.Transact(ctx, txn)
	if err == nil && !done {
		err = fmt.Errorf("node %s changed meanwhile", name)
	}
	if err != nil || len(c.cfg.External) > 0 {
		return err
	}
	list, err := c.client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, m := range list.Members {
		if m.Name == name {
			_, err = c.client.MemberRemove(ctx, m.ID)
		}
	}
	c.grown.Store(0)
	return err
}

// Voters returns the names of the servers that make the database's quorum.
func (s *DatabaseStatus) Voters() []string {
	var names []string
	for _, one := range s.Servers {
		if one.Votes {
			names = append(names, one.Name)
		}
	}
	slices.Sort(names)
	return names
}
