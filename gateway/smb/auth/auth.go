// Package auth tells who logs on: SPNEGO (RFC 4178, [MS-SPNG]) around NTLMv2 ([MS-NLMP]). It turns the tokens of SESSION_SETUP
// into a user and a session key, and holds no session. There are no guests; what
// becomes of anonymous users is the server's affair. Kerberos would be a second
// mechanism beside ntlm.go: an Exchange picks the mechanism by what the client offers.
package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM is defined with it ([MS-NLMP] 3.3.1); nothing else uses it
	"golang.org/x/crypto/md4"
)

// Errors of an exchange.
var (
	ErrLogon     = errors.New("smb: logon failed")    // unknown user, wrong password, or none
	ErrMalformed = errors.New("smb: malformed token") // breaks the mechanism's structure
)

// User is an account.
type User struct {
	Name     string
	NTHash   [16]byte // see NTHash
	UID, GID uint32
	Groups   []uint32
}

// Users finds accounts. Names are compared without case, by the implementation. It may be called by many goroutines.
type Users interface {
	// Lookup returns the user, or false if there is none.
	Lookup(ctx context.Context, name string) (User, bool)
}

// NTHash is what is stored of a password: MD4 over its UTF-16LE ([MS-NLMP] 3.3.1, NTOWFv1). It is as good as the password itself.
func NTHash(password string) (hash [16]byte) {
	h := md4.New()
	for _, u := range utf16.Encode([]rune(password)) {
		h.Write([]byte{byte(u), byte(u >> 8)})
	}
	h.Sum(hash[:0])
	return hash
}

// Config is what logons need.
type Config struct {
	Users    Users
	Computer string           // NetBIOS name, at most 15 characters, upper case; default "CAUSEWAY"
	Domain   string           // NetBIOS name of the domain; default Computer
	DNSName  string           // default Computer in lower case
	Now      func() time.Time // default time.Now
}

// Authenticator makes exchanges.
type Authenticator struct {
	cfg Config
}

// New returns an Authenticator. Users must be set.
func New(cfg Config) (*Authenticator, error) {
	if cfg.Users == nil {
		return nil, errors.New("smb auth: Users is missing")
	}
	if cfg.Computer == "" {
		cfg.Computer = "CAUSEWAY"
	}
	if len(cfg.Computer) > 15 {
		return nil, errors.New("smb auth: Computer is longer than 15 characters")
	}
	if cfg.Domain == "" {
		cfg.Domain = cfg.Computer
	}
	if cfg.DNSName == "" {
		cfg.DNSName = lower(cfg.Computer)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Authenticator{cfg}, nil
}

// Computer is the NetBIOS name of the server.
func (a *Authenticator) Computer() string { return a.cfg.Computer }

// Domain is the name of the domain, or of the server alone.
func (a *Authenticator) Domain() string { return a.cfg.Domain }

// Hint is the token that a server sends first: the mechanisms that it takes.
func (a *Authenticator) Hint() []byte { return hint }

// Result is a successful logon, or with Anonymous that of nobody: no more than that the client says so, and without a key.
type Result struct {
	User      User
	Key       [16]byte // session key
	Anonymous bool
}

// Exchange is one logon, from its first token to its last. It is used by one goroutine at a time.
type Exchange struct {
	auth      *Authenticator
	raw       bool   // NTLMSSP without SPNEGO around
	mechs     []byte // DER of the client's list of mechanisms, under its MIC
	needMIC   bool   // the client guessed another mechanism: only a MIC proves the list
	started   bool
	ntlm      ntlm
	completed bool
}

// Begin starts an exchange. Before a password is looked at, admit is asked with the name that the client told: its error ends the exchange.
// nil: nobody is asked.
func (a *Authenticator) Begin(admit func(ctx context.Context, name string) error) *Exchange {
	return &Exchange{auth: a, ntlm: ntlm{admit: admit}}
}

// Again returns an exchange that goes on from where this one is, for another one whose first tokens were the same.
func (x *Exchange) Again(admit func(ctx context.Context, name string) error) *Exchange {
	next := *x
	next.ntlm.admit = admit
	return &next
}

// Claimed returns who the client said that he is, empty before he has, and for logs why he was not believed.
func (x *Exchange) Claimed() (name, why string) { return x.ntlm.name, x.ntlm.why }

// Step takes a token of the client and returns the one to answer. A nil Result without an error means that another token must
// follow. After an error or a Result the exchange is over.
func (x *Exchange) Step(ctx context.Context, token []byte) (reply []byte, res *Result, err error) {
	if x.completed {
		return nil, nil, ErrMalformed
	}
	reply, res, err = x.step(ctx, token)
	x.completed = err != nil || res != nil
	return reply, res, err
}

func (x *Exchange) step(ctx context.Context, token []byte) ([]byte, *Result, error) {
	if len(token) > maxToken {
		return nil, nil, ErrMalformed
	}
	if isNTLM(token) && (x.raw || !x.started) {
		x.raw, x.started = true, true
		return x.ntlm.step(ctx, &x.auth.cfg, token)
	}
	if x.raw {
		return nil, nil, ErrMalformed
	}
	t, err := parseToken(token)
	if err != nil {
		return nil, nil, err
	}
	if !x.started {
		return x.first(ctx, &t)
	}
	if t.init || t.token == nil {
		return nil, nil, ErrMalformed
	}
	return x.wrapped(ctx, &t)
}

// first takes the client's first token, in which it may have guessed the mechanism.
func (x *Exchange) first(ctx context.Context, t *token) ([]byte, *Result, error) {
	if !t.init || !t.offersNTLM {
		return nil, nil, ErrLogon
	}
	x.started, x.mechs = true, append([]byte(nil), t.mechs...)
	if t.prefersNTLM && t.token != nil {
		return x.wrapped(ctx, t)
	}
	x.needMIC = !t.prefersNTLM
	return appendReply(acceptIncomplete, true, nil, nil), nil, nil
}

// wrapped passes the mechanism's token on and wraps its answer.
func (x *Exchange) wrapped(ctx context.Context, t *token) ([]byte, *Result, error) {
	first := x.ntlm.challenge == nil
	out, res, err := x.ntlm.step(ctx, &x.auth.cfg, t.token)
	if err != nil {
		return nil, nil, err
	}
	if res == nil {
		return appendReply(acceptIncomplete, first, out, nil), nil, nil
	}
	if t.mic == nil || res.Anonymous {
		if x.needMIC && !res.Anonymous {
			return nil, nil, ErrLogon
		}
		return appendReply(acceptCompleted, false, nil, nil), res, nil
	}
	if !x.ntlm.verifyList(x.mechs, t.mic) {
		return nil, nil, ErrLogon
	}
	return appendReply(acceptCompleted, false, nil, x.ntlm.signList(x.mechs)), res, nil
}

func random(b []byte) { rand.Read(b) } // never fails
