package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"causeway"
	"causeway/cluster/pki"
	"causeway/cluster/record"
	"causeway/internal/doorman"
)

// maxLetter bounds what is read from a stranger, and from whom a stranger asks.
const maxLetter = 64 << 10

// application and admission are what a joiner sends, and what it gets.
type application struct {
	Version uint32 `json:"version"`
	Token   string `json:"token"` // the id only
	Secret  []byte `json:"secret"`
	Node    string `json:"node"`
	Request []byte `json:"request"` // for a certificate, DER
}

type admission struct {
	Certificate []byte   `json:"certificate"`
	Authorities []byte   `json:"authorities"`
	Endpoints   []string `json:"endpoints"`
}

// CreateToken makes a join token that is good for a time, however often. It goes with a lease of that time, but that can end
// late: what counts is the time in the record.
func (c *Cluster) CreateToken(ctx context.Context, life time.Duration) (string, error) {
	authority, _, _, err := c.authority(ctx)
	if err != nil {
		return "", err
	}
	token, err := pki.NewToken(authority)
	if err != nil {
		return "", err
	}
	lease, _, err := c.db.Grant(ctx, max(life, time.Minute))
	if err != nil {
		return "", err
	}
	rec := &record.Token{Hash: token.Hash(), Expires: c.cfg.Now().Add(life).UTC()}
	r, err := c.db.Transact(ctx, record.Create(record.Named(record.KindToken, token.ID), rec, lease))
	if err == nil && !r.Done { // the lease has ended already
		err = causeway.ErrDelay
	}
	return token.String(), err
}

// authority returns the one that issues, the certificates of all that are trusted, and the record that says so.
func (c *Cluster) authority(ctx context.Context) (*pki.Authority, []byte, *record.Item, error) {
	item, err := c.db.Get(ctx, record.Sole(record.KindAuthority))
	if err != nil {
		return nil, nil, nil, err
	}
	if item == nil {
		return nil, nil, nil, errors.New("the cluster has no certificate authority")
	}
	authority, trusted, err := authorityOf(item.Value.(*record.Authority))
	return authority, trusted, item, err
}

func authorityOf(r *record.Authority) (*pki.Authority, []byte, error) {
	var trusted []byte
	for _, i := range r.Issuers {
		trusted = append(trusted, i.Certificate...)
	}
	authority, err := pki.ParseAuthority(r.Issuers[0].Certificate, r.Issuers[0].Key)
	if err == nil {
		authority.Crosses = r.Issuers[0].Crosses
	}
	return authority, trusted, err
}

// Connections to the door that are open at once: members ask there for a moment, and anybody may knock.
const (
	maxAtDoor        = 256
	maxAtDoorPerAddr = 32
)

// serveDoor answers joiners until ctx ends.
func (c *Cluster) serveDoor(ctx context.Context) {
	if c.cfg.Door == nil || c.identity == nil {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /join", c.admit)
	mux.HandleFunc("GET /seen", c.seen)
	for path, h := range c.cfg.Asked {
		mux.Handle("POST "+path, c.members(h))
	}
	door := &doorman.Doorman{Total: maxAtDoor, PerAddr: maxAtDoorPerAddr}
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return ctx }}
	c.tasks.Go(func() {
		if err := server.Serve(tls.NewListener(door.Listener(c.cfg.Door), c.identity.Door())); !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("nobody can join through this gateway any more", "err", err)
		}
	})
	c.tasks.Go(func() {
		<-ctx.Done()
		server.Close()
	})
}

// admit answers one joiner.
func (c *Cluster) admit(w http.ResponseWriter, r *http.Request) {
	var a application
	if err := json.NewDecoder(io.LimitReader(r.Body, maxLetter)).Decode(&a); err != nil {
		http.Error(w, "not an application", http.StatusBadRequest)
		return
	}
	reply, err := c.judge(r.Context(), a)
	if err != nil {
		c.refused.tell(c.log, c.cfg.Now(), r.RemoteAddr, a.Node, err)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	c.log.Info("a gateway was admitted", "client", r.RemoteAddr, "name", a.Node)
	json.NewEncoder(w).Encode(reply)
}

// refusals are told to the operator without letting strangers fill his disk: one in tellAgain, with as much of a name as names have.
type refusals struct {
	mu   sync.Mutex
	told time.Time
	more int // since then, that were not told
}

const (
	tellAgain = 10 * time.Second
	maxToldOf = 64
)

func (f *refusals) tell(log *slog.Logger, now time.Time, from, name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.told).Abs() < tellAgain {
		f.more++
		return
	}
	log.Warn("a gateway was not admitted", "client", from, "name", name[:min(len(name), maxToldOf)], "others", f.more, "err", err)
	f.told, f.more = now, 0
}

// judge checks the token before anything else, so that a stranger learns nothing.
func (c *Cluster) judge(ctx context.Context, a application) (*admission, error) {
	key := record.Named(record.KindToken, a.Token)
	if _, err := record.ParseKey(key.String()); err != nil || a.Token == "" || len(a.Token) > 12 {
		return nil, pki.ErrToken
	}
	item, err := c.db.Get(ctx, key)
	if err != nil {
		return nil, errors.New("the cluster cannot answer now")
	}
	if item == nil {
		return nil, pki.ErrToken
	}
	token := item.Value.(*record.Token)
	if err := pki.Check(a.Secret, token.Hash, token.Expires, c.cfg.Now()); err != nil {
		return nil, err
	}
	if min := c.Table().Cluster().MinVersion; a.Version < min || a.Version > c.cfg.Versions.Max+1 {
		return nil, fmt.Errorf("the gateway speaks protocol version %d, this cluster %d to %d: neighbouring versions only", a.Version, min, c.cfg.Versions.Max+1)
	}
	if member, _ := c.Table().Member(a.Node); member != nil {
		return nil, fmt.Errorf("%w: %s", errNameInUse, a.Node)
	}
	authority, trusted, _, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	certificate, err := authority.Issue(a.Request, a.Node, c.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &admission{certificate, trusted, c.voters()}, nil
}

// knock asks a gateway of the cluster for a certificate, and returns where the database is.
func (c *Cluster) knock(ctx context.Context) ([]string, error) {
	token, err := pki.ParseToken(c.cfg.Token)
	if err != nil {
		return nil, err
	}
	request, err := pki.NewRequest()
	if err != nil {
		return nil, err
	}
	der, err := request.DER(c.cfg.Node, c.hosts())
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(application{c.cfg.Versions.Max, token.ID, token.Secret[:], c.cfg.Node, der})
	if err != nil {
		return nil, err
	}
	reply, err := post(ctx, c.cfg.Join, token, body)
	if err != nil {
		return nil, fmt.Errorf("join %s: %w", c.cfg.Join, err)
	}
	c.identity, err = pki.Store(c.path(identityDir), reply.Certificate, request.KeyPEM(), reply.Authorities)
	return reply.Endpoints, err
}

func post(ctx context.Context, address string, token pki.Token, body []byte) (*admission, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, // by name; the token says whom to trust
		VerifyConnection: func(s tls.ConnectionState) error { return verifyDoor(s.PeerCertificates, token.Fingerprint) },
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/join", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxLetter))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(string(bytes.TrimSpace(data)))
	}
	reply := new(admission)
	return reply, json.Unmarshal(data, reply)
}

// verifyDoor fails unless the certificate was issued by the authority that the token names, which comes with it.
func verifyDoor(chain []*x509.Certificate, fingerprint [32]byte) error {
	for _, authority := range chain[1:] {
		if sha256.Sum256(authority.Raw) != fingerprint {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(authority)
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		return err
	}
	return errors.New("this is not the cluster of the join token")
}
