package table

import "causeway"

// party are the clients of one address or user, however many they say they are (causeway.Owner.Party).
type party struct {
	id      Client // of all of them
	clients int
	held    int
	waiting int
	opens   int
}

func (t *Table) party(c Client) *party {
	id := Client{c.Kind, causeway.Owner{Kind: c.Kind, Client: c.Name}.Party()}
	p := t.parties[id]
	if p == nil {
		p = &party{id: id}
		t.parties[id] = p
	}
	return p
}

// ofParty is how much of all one party may have: a quarter, and never less than one client.
func (l *Limits) ofParty(all, client int) int { return max(all/4, client) }
