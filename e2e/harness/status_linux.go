package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// ClusterStatus is what tests look at in the answer of `causeway status`.
type ClusterStatus struct {
	Valid    bool
	Revision int64
	Master   string
	Database struct {
		Advice  string
		Servers []struct {
			Name                   string
			Votes, Leader, Answers bool
		}
	}
	Nodes []struct {
		Name    string
		Running bool
		Fenced  string
		Owns    int
	}
	Volumes []struct {
		Name, Owner, Assigned string
		Serving, Moving       bool
		Refused               map[string]string
		Epoch                 json.RawMessage
	}
	Addresses []struct{ Address, Home, At string }
}

// Status returns the cluster as this gateway sees it.
func (m *Member) Status() (*ClusterStatus, error) {
	text, err := m.ask(http.MethodGet, "/cluster", nil)
	if err != nil {
		return nil, err
	}
	s := &ClusterStatus{}
	return s, json.Unmarshal(text, s)
}

// View returns the cluster as some running gateway sees it, nil if none answers.
func (c *Cluster) View() *ClusterStatus {
	for _, m := range c.Members {
		if m.Running() {
			if s, err := m.Status(); err == nil && s.Valid {
				return s
			}
		}
	}
	return nil
}

// Seen is View that waits until some gateway answers.
func (c *Cluster) Seen() (s *ClusterStatus) {
	c.t.Helper()
	c.Await("some gateway sees the cluster", func() bool { s = c.View(); return s != nil })
	return s
}

// Voters counts the servers of the database that vote and answer.
func (c *Cluster) Voters() int {
	n := 0
	if s := c.View(); s != nil {
		for _, one := range s.Database.Servers {
			if one.Votes && one.Answers {
				n++
			}
		}
	}
	return n
}

// Leader returns the gateway whose server leads the database, or nil.
func (c *Cluster) Leader() *Member {
	if s := c.View(); s != nil {
		for _, one := range s.Database.Servers {
			if one.Leader {
				return c.Member(one.Name)
			}
		}
	}
	return nil
}

// AtRest reports whether all gateways run and agree that all volumes are served, by nobody twice, that nothing moves, and that
// every service address is at home.
func (c *Cluster) AtRest(volumes int) error {
	for _, m := range c.Members {
		s, err := m.Status()
		if err != nil {
			return err
		}
		if !s.Valid || len(s.Volumes) != volumes {
			return fmt.Errorf("%s: valid %v, %d volumes", m.Name, s.Valid, len(s.Volumes))
		}
		for _, v := range s.Volumes {
			if !v.Serving || v.Moving || v.Owner == "" || v.Owner != v.Assigned {
				return fmt.Errorf("%s: volume %+v", m.Name, v)
			}
		}
		for _, n := range s.Nodes {
			if !n.Running || n.Fenced != "" {
				return fmt.Errorf("%s: node %+v", m.Name, n)
			}
		}
		for _, a := range s.Addresses {
			if a.At != a.Home {
				return fmt.Errorf("%s: address %+v", m.Name, a)
			}
		}
		for _, one := range s.Database.Servers {
			if !one.Votes || !one.Answers {
				return fmt.Errorf("%s: server %+v", m.Name, one)
			}
		}
	}
	return nil
}

// AwaitRest waits for AtRest.
func (c *Cluster) AwaitRest(volumes int) {
	c.t.Helper()
	if err := Poll(startTime, func() error { return c.AtRest(volumes) }); err != nil {
		c.t.Fatalf("the cluster does not come to rest: %v", err)
	}
}

// Await waits for what will come, and fails the test if it does not.
func (c *Cluster) Await(what string, ok func() bool) {
	c.t.Helper()
	err := Poll(startTime, func() error {
		if ok() {
			return nil
		}
		return errors.New("it never came about: " + what)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}
