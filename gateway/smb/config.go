package smb

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/names"
	"causeway/internal/gate"
)

// Access is what the front needs of the access part.
type Access interface {
	gateway.Access
	gateway.Stateful
}

// Share says how a user may use a volume.
type Share struct {
	ReadOnly bool
	Encrypt  bool // requests that are not encrypted are refused
}

// Interface is an address at which a server answers.
type Interface struct {
	Addr  netip.Addr
	Index int    // of the network interface that has it, as the system counts; 0: not known
	Speed uint64 // bits per second; 0: not known
}

// Target is a server that a client may use a share at.
type Target struct {
	Server string     // name, as clients write it; not used where Addr is valid
	Addr   netip.Addr // an address
}

// Referrals says at which servers a client shall use a volume, the best first; those that shall get no clients are not among them. None:
// nobody else is known, and the client stays where it is.
type Referrals interface {
	Referrals(v *causeway.Volume, client netip.Addr) []Target
}

// Config says how a server runs. The zero value of a field means its default; Access, Transfer, Catalog and Auth.Users are needed.
type Config struct {
	Access   Access
	Transfer gateway.Transfer
	Catalog  *gateway.Catalog
	Auth     auth.Config
	// Share decides whether a user may use a volume from a client, and how. nil: every user may use every volume.
	Share     func(v *causeway.Volume, u *auth.User, client netip.Addr) (Share, bool)
	Comment   string    // of the server, in lists of shares
	Referrals Referrals // nil: no DFS
	// ReferralTTL says for how long clients keep a list of servers; nil: 5 min. The clients of Linux keep one for two minutes at least.
	ReferralTTL func() time.Duration
	// Interfaces are the addresses at which this server answers: clients open further connections there. nil, and besides: that to which the
	// client came.
	Interfaces func() []Interface
	Logger     *slog.Logger
	Now        func() time.Time // default time.Now
	GUID       [16]byte         // of the server; default random
	Folding    names.Folding    // which spellings of a name mean the same file, in volumes that are not case-sensitive; default Exact
	// Observe is told of every request that names a share, with the bytes of request and reply. nil: nobody counts. It must not block.
	Observe func(client netip.Addr, v causeway.VolumeID, bytes int)
	// Enter is called before volumes are used, and Leave after: who takes a volume out of use can wait for that. nil: nobody does.
	Enter func() gate.Pass

	AllowUnsigned bool // do not require signatures of clients that do not want them
	Encrypt       bool // refuse clients that cannot encrypt, and encrypt all sessions

	MaxConns           int // default 10000
	MaxConnsPerClient  int // per address; default a quarter of MaxConns
	MaxLogons          int // sessions that have not logged on yet, in total; default 1000
	MaxSessions        int // in total; default 20000
	MaxSessionsPerConn int // default 64
	MaxTrees           int // per session; default 256
	MaxOpens           int // per session; default 65536
	MaxOpensPerUser    int // of all his sessions, with those that are kept for him; default four times MaxOpens
	MaxOpensPerFile    int // of one user, of a file or directory: each further one is compared with them; default 8192
	MaxRequests        int // that run or wait in goroutines, per connection; default 512
	MaxCredits         int // per connection; default 8192, at most 65535

	LogonTimeout time.Duration // for a connection to have a user; default 45 s
	FrameTimeout time.Duration // for a message to arrive whole; default 60 s
	WriteTimeout time.Duration // for a client to take some of its replies; default 60 s
}

func defaultTo[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Access == nil:
		return errors.New("smb: Access is missing")
	case c.Transfer == nil:
		return errors.New("smb: Transfer is missing")
	case c.Catalog == nil:
		return errors.New("smb: Catalog is missing")
	}
	if c.Share == nil {
		c.Share = func(v *causeway.Volume, _ *auth.User, _ netip.Addr) (Share, bool) {
			return Share{ReadOnly: v.ReadOnly, Encrypt: v.SMB.Encrypt}, !v.SMB.Off
		}
	}
	if c.Enter == nil {
		c.Enter = new(gate.Gate).Enter
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.GUID == [16]byte{} {
		for i := range 2 {
			le.PutUint64(c.GUID[8*i:], randomID())
		}
	}
	if c.ReferralTTL == nil {
		c.ReferralTTL = func() time.Duration { return 5 * time.Minute }
	}
	defaultTo(&c.MaxConns, 10000)
	defaultTo(&c.MaxConnsPerClient, max(c.MaxConns/4, 1))
	defaultTo(&c.MaxLogons, 1000)
	defaultTo(&c.MaxSessions, 20000)
	defaultTo(&c.MaxSessionsPerConn, 64)
	defaultTo(&c.MaxTrees, 256)
	defaultTo(&c.MaxOpens, 65536)
	defaultTo(&c.MaxOpensPerUser, 4*c.MaxOpens)
	defaultTo(&c.MaxOpensPerFile, 8192)
	defaultTo(&c.MaxRequests, 512)
	defaultTo(&c.MaxCredits, 8192)
	defaultTo(&c.LogonTimeout, 45*time.Second)
	defaultTo(&c.FrameTimeout, time.Minute)
	defaultTo(&c.WriteTimeout, time.Minute)
	for _, f := range []struct {
		name  string
		value int
		most  int
	}{
		{"MaxConns", c.MaxConns, 1 << 20}, {"MaxConnsPerClient", c.MaxConnsPerClient, 1 << 20}, {"MaxLogons", c.MaxLogons, 1 << 20},
		{"MaxSessions", c.MaxSessions, 1 << 20}, {"MaxSessionsPerConn", c.MaxSessionsPerConn, 1 << 16}, {"MaxTrees", c.MaxTrees, 1 << 16},
		{"MaxOpens", c.MaxOpens, 1 << 20}, {"MaxOpensPerUser", c.MaxOpensPerUser, 1 << 22}, {"MaxOpensPerFile", c.MaxOpensPerFile, 1 << 22}, {"MaxRequests", c.MaxRequests, 1 << 16}, {"MaxCredits", c.MaxCredits, 1<<16 - 1},
	} {
		if f.value < 1 || f.value > f.most {
			return errors.New("smb: " + f.name + " is out of range")
		}
	}
	return nil
}

// folding says which spellings of a name mean the same file in a volume.
func (c *Config) folding(v *causeway.Volume) names.Folding {
	if v.SMB.CaseSensitive {
		return names.Exact
	}
	return c.Folding
}
