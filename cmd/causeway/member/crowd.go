package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Client is a client of a gateway, and what it does there with a volume.
type Client struct {
	Gateway  string       `json:"gateway"`
	Client   string       `json:"client"`   // its address; of an aware one, followed by what it calls itself
	Kind     string       `json:"kind"`     // aware or normal
	Protocol string       `json:"protocol"` // causeway, nfs or smb
	Volume   string       `json:"volume"`   // "": none yet
	Load     float64      `json:"load"`     // percent of the gateway that it causes; 0 where the load is not known
	Calls    uint64       `json:"calls"`
	Bytes    uint64       `json:"bytes"`
	Since    time.Time    `json:"since"`           // it uses the volume at this gateway
	Moved    *time.Time   `json:"moved,omitempty"` // when it was told last to go elsewhere
	At       []netip.Addr `json:"at,omitempty"`    // addresses of ours that it is connected to
	Site     string       `json:"site,omitempty"`
}

// Kinds of clients.
const (
	AwareClient  = "aware"
	NormalClient = "normal"
)

// Crowd is who uses this gateway.
type Crowd interface {
	Clients() []Client
	// Demand returns which part of this gateway's work each volume causes, and the work of a second, in any unit that is the same everywhere.
	Demand() (parts map[string]float64, rate float64)
	// Redirect tells an aware client to go to a node, or to the one with the most room, or the least busy one, if that is "". It says where it was sent, and fails
	// with the reason if it was not told.
	Redirect(client, volume, to string) (node string, err error)
}

// ClientList is the clients of all gateways.
type ClientList struct {
	Clients []Client `json:"clients"`
	Missing []string `json:"missing,omitempty"` // gateways that did not answer, and why
}

// askWithin bounds how long a gateway is waited for that does not answer.
const askWithin = 3 * time.Second

// asked is what other gateways may ask of this one.
func (m *Member) asked() map[string]http.Handler {
	return map[string]http.Handler{
		"/clients":  order(m, func(context.Context, struct{}) (any, error) { return m.cfg.Crowd.Clients(), nil }),
		"/redirect": order(m, m.redirectHere),
	}
}

// clients asks all gateways at once.
func (m *Member) clients(ctx context.Context) ClientList {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	list := ClientList{Clients: m.cfg.Crowd.Clients()}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, node := range m.peers() {
		all.Go(func() {
			var theirs []Client
			err := m.Cluster().Ask(ctx, node, "/clients", struct{}{}, &theirs)
			mu.Lock()
			defer mu.Unlock()
			list.Clients = append(list.Clients, theirs...)
			if err != nil {
				list.Missing = append(list.Missing, fmt.Sprintf("%s: %v", node, err))
			}
		})
	}
	all.Wait()
	slices.Sort(list.Missing)
	slices.SortStableFunc(list.Clients, func(a, b Client) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(b.Load, a.Load), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Volume, b.Volume))
	})
	return list
}

// RedirectOrder sends a client elsewhere.
type RedirectOrder struct {
	Client string `json:"client"` // as `causeway clients` names it; an address alone means all clients there
	Volume string `json:"volume"` // "": all that it uses
	To     string `json:"to"`     // a node; "": the one with the most room
}

// Redirected is what became of one client and volume.
type Redirected struct {
	Client   string `json:"client"`
	Protocol string `json:"protocol"`
	Volume   string `json:"volume"`
	From     string `json:"from"`
	To       string `json:"to,omitempty"` // where it was told to go
	Told     bool   `json:"told"`
	Why      string `json:"why,omitempty"` // why it was not told, and what can be done
}

// redirect tells clients to go, wherever they are.
func (m *Member) redirect(ctx context.Context, o RedirectOrder) (any, error) {
	t := m.Cluster().Table()
	if o.Volume != "" && t.VolumeByName(o.Volume) == nil {
		return nil, fmt.Errorf("there is no volume %.80q", o.Volume)
	}
	if o.To != "" {
		if err := Receives(t, o.To, o.Volume); err != nil {
			return nil, err
		}
	}
	list := m.clients(ctx)
	var out []Redirected
	for _, c := range list.Clients {
		if !o.means(&c) {
			continue
		}
		r := Redirected{Client: c.Client, Protocol: c.Protocol, Volume: c.Volume, From: c.Gateway}
		switch {
		case c.Gateway == o.To:
			r.Why = "it is there already"
		case c.Kind != AwareClient:
			r.Why = m.advise(list.Clients, &c, o.To)
		default:
			m.tell(ctx, &r, o.To)
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		if len(list.Missing) > 0 {
			return nil, fmt.Errorf("no gateway has such a client, though these did not answer: %s", strings.Join(list.Missing, ", "))
		}
		return nil, errors.New("no gateway has such a client: causeway clients lists them")
	}
	return out, nil
}

// means reports whether an order is about a client.
func (o *RedirectOrder) means(c *Client) bool {
	if o.Volume != "" && o.Volume != c.Volume || c.Kind == AwareClient && c.Volume == "" {
		return false
	}
	return o.Client == c.Client || o.Client == c.address()
}

// address is the client's without what it calls itself.
func (c *Client) address() string {
	for i := range c.Client {
		if c.Client[i] == '/' {
			return c.Client[:i]
		}
	}
	return c.Client
}

// tell has the gateway where an aware client is tell it.
func (m *Member) tell(ctx context.Context, r *Redirected, to string) {
	in, err := RedirectOrder{r.Client, r.Volume, to}, error(nil)
	if r.From == m.cfg.Cluster.Node {
		r.To, err = m.cfg.Crowd.Redirect(in.Client, in.Volume, in.To)
	} else {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		err = m.Cluster().Ask(ctx, r.From, "/redirect", in, &r.To)
	}
	if r.Told = err == nil; err != nil {
		r.Why = err.Error()
	}
}

func (m *Member) redirectHere(_ context.Context, o RedirectOrder) (any, error) {
	return m.cfg.Crowd.Redirect(o.Client, o.Volume, o.To)
}

// advise says what there is to do with a client whose protocol has no redirect.
func (m *Member) advise(all []Client, c *Client, to string) string {
	text := fmt.Sprintf("a client of %s cannot be told to go while it is connected; when it mounts again by name, DNS sends it to a gateway with room", c.Protocol)
	if m.Cluster().Table().Settings().Zone == "" {
		text = fmt.Sprintf("a client of %s cannot be told to go while it is connected; it goes where it mounts the next time", c.Protocol)
	}
	if to == "" {
		to = "NODE"
	}
	for _, a := range c.At {
		with := map[string]bool{}
		for _, o := range all {
			if slices.Contains(o.At, a) {
				with[o.address()] = true
			}
		}
		hosts := "1 host"
		if len(with) > 1 {
			hosts = fmt.Sprintf("%d hosts", len(with))
		}
		text += fmt.Sprintf("; now, with all that are connected to %v (%s): causeway address move %v --to %s", a, hosts, a, to)
	}
	return text
}
