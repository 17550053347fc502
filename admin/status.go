package admin

import (
	"context"
	"time"
)

// Source is what the operator's interface shows. The functions may be called by many goroutines, and are called when
// somebody asks, so they may cost something; a nil one shows nothing.
type Source struct {
	Volumes func(ctx context.Context) []Volume
	Clients func(ctx context.Context) []Client
	Locks   func(ctx context.Context) ([]Lock, error)
	Locking func(ctx context.Context) Locking
	Replies func(ctx context.Context) Replies
	Caches  func(ctx context.Context) []Cache
	Traffic func(ctx context.Context) Traffic
	SMB     func(ctx context.Context) *SMB // nil: it is not served
}

// Volume is a line of status. Sizes are bytes; Error says why they are not known.
type Volume struct {
	Name  string   `json:"name"`
	ID    string   `json:"id"`
	Path  string   `json:"path"`
	Modes []string `json:"modes"` // settings that are not the default: "async", "exclusive", "read-only", …
	Allow []string `json:"allow"`
	Total uint64   `json:"total_bytes"`
	Used  uint64   `json:"used_bytes"`
	Avail uint64   `json:"available_bytes"`
	Files uint64   `json:"used_files"`
	Error string   `json:"error,omitempty"`

	Calls    uint64  `json:"calls"` // NFS calls that named an object of it, and their bytes without headers
	BytesIn  uint64  `json:"bytes_in"`
	BytesOut uint64  `json:"bytes_out"`
	Storage  Storage `json:"storage"`
}

// Storage is what a volume's store holds open, and has synced since it was opened.
type Storage struct {
	Identity       string `json:"identity"` // how objects are found: "handle" or "index"
	Descriptors    int    `json:"descriptors"`
	MaxDescriptors int    `json:"max_descriptors"`
	Dirty          int    `json:"dirty_files"` // with writes that are not synced
	Evictions      uint64 `json:"evictions"`
	Syncs          uint64 `json:"syncs"`
	SyncRequests   uint64 `json:"sync_requests"` // that these syncs satisfied: divided by them, the mean batch
	SyncErrors     uint64 `json:"sync_errors"`
	Scans          uint64 `json:"scans"` // of the tree, to repair the index
}

// Client is a host that uses the gateway, or did a short while ago.
type Client struct {
	Address     string    `json:"address"`
	Connections int       `json:"connections"`
	Calls       uint64    `json:"calls"`
	BytesIn     uint64    `json:"bytes_in"`
	BytesOut    uint64    `json:"bytes_out"`
	Since       time.Time `json:"since,omitzero"` // of the oldest connection; left out where there is none
	Locks       int       `json:"locks"`
	Mounts      []string  `json:"mounts,omitempty"`
}

// Lock is a byte range that is locked. End is the first byte behind it; 0: to the end of the file, wherever that is.
type Lock struct {
	Volume    string `json:"volume"`
	Object    string `json:"object"`
	Protocol  string `json:"protocol"`
	Client    string `json:"client"`
	Start     uint64 `json:"start"`
	End       uint64 `json:"end"`
	Exclusive bool   `json:"exclusive"`
}

// Locking is the state of locks and of the clients that may hold them.
type Locking struct {
	Held             int     `json:"held"`
	Waiting          int     `json:"waiting"` // requests for locks that others hold
	Clients          int     `json:"clients"` // NLM clients that are watched, because they hold or held locks
	Unacknowledged   int     `json:"unacknowledged"`
	Callbacks        uint64  `json:"callbacks"`
	CallbackFailures uint64  `json:"callback_failures"`
	Notified         uint64  `json:"notified"` // clients that were told of a restart of the gateway
	NotifyFailures   uint64  `json:"notify_failures"`
	Released         uint64  `json:"released"`           // times that all locks of a client were released: it restarted, or said so
	Grace            bool    `json:"grace"`              // only locks of before the restart are given out
	GraceLeft        float64 `json:"grace_left_seconds"` // at most
}

// Replies is the duplicate-request cache.
type Replies struct {
	Entries int `json:"entries"`
	Bytes   int `json:"bytes"`
	Clients int `json:"clients"`
}

// Cache is how well a cache does.
type Cache struct {
	Name    string `json:"name"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Entries int    `json:"entries"`
}

// SMB is the state of SMB, and what was done since the start.
type SMB struct {
	Connections   int                   `json:"connections"`
	Sessions      int                   `json:"sessions"`
	Signed        int                   `json:"signed_sessions"`    // in which every request must be signed
	Encrypted     int                   `json:"encrypted_sessions"` // in which every request must be encrypted
	Opens         int                   `json:"opens"`
	Credits       int                   `json:"credits"` // requests that clients may send before the next answer
	BytesIn       int64                 `json:"bytes_in"`
	BytesOut      int64                 `json:"bytes_out"`
	BufferBytes   int64                 `json:"buffer_bytes"`
	Refused       int64                 `json:"refused_connections"`
	LogonFailures int64                 `json:"logon_failures"`
	Panics        int64                 `json:"panics"`
	Commands      map[string]SMBCommand `json:"commands"` // those that were called
}

// SMBCommand counts a command.
type SMBCommand struct {
	Calls    int64 `json:"calls"`
	Failures int64 `json:"failures"`
}

// Traffic is the state of the connections, and what went wrong with them since the start.
type Traffic struct {
	Connections int    `json:"connections"`
	InFlight    int    `json:"in_flight"` // calls that wait for storage or others; those answered at once are never seen here
	BufferBytes int64  `json:"buffer_bytes"`
	Rejected    uint64 `json:"rejected_calls"`      // no program saw them: bad headers, unknown programs
	Refused     uint64 `json:"refused_connections"` // one too many
	TimedOut    uint64 `json:"timed_out_connections"`
	Stuck       uint64 `json:"stuck_calls"` // that kept a goroutine from reading sockets, and were moved
	Panics      uint64 `json:"panics"`
	Datagrams   uint64 `json:"datagrams"` // calls by UDP; they have no connection and count for no client
}

// Rates are means over the last seconds, per second.
type Rates struct {
	Seconds  float64 `json:"seconds"`
	Calls    float64 `json:"calls"`
	BytesIn  float64 `json:"bytes_in"`
	BytesOut float64 `json:"bytes_out"`
}

// Process describes the gateway's process. Memory is what is resident, in bytes.
type Process struct {
	Version        string    `json:"version"`
	PID            int       `json:"pid"`
	Started        time.Time `json:"started"`
	Uptime         float64   `json:"uptime_seconds"`
	Ready          bool      `json:"ready"`
	State          string    `json:"state"`
	Memory         uint64    `json:"memory_bytes"`
	Goroutines     int       `json:"goroutines"`
	Descriptors    int       `json:"descriptors"`
	MaxDescriptors uint64    `json:"max_descriptors"`
	CPU            float64   `json:"cpu_seconds"`
}

// Status is all that `causeway status` shows.
type Status struct {
	Format  int      `json:"format"` // of this answer; 1
	Process Process  `json:"process"`
	Rates   Rates    `json:"rates"`
	Traffic Traffic  `json:"traffic"`
	SMB     *SMB     `json:"smb,omitempty"`
	Volumes []Volume `json:"volumes"`
	Clients []Client `json:"clients"`
	Locks   []Lock   `json:"locks"`
	Locking Locking  `json:"locking"`
	Replies Replies  `json:"replies"`
	Caches  []Cache  `json:"caches"`
	Errors  []string `json:"errors,omitempty"` // what could not be found out
}

// MaxListed is how many clients, and how many locks, a status lists at most.
const MaxListed = 10000

// Status asks the source for everything.
func (s *Server) Status(ctx context.Context) Status {
	src := &s.cfg.Source
	st := Status{Format: 1, Process: s.process(), Rates: s.rates.now(s.cfg.Now(), s.cfg.Metrics.totals())}
	if src.Volumes != nil {
		st.Volumes = src.Volumes(ctx)
	}
	if src.Clients != nil {
		st.Clients = head(src.Clients(ctx))
	}
	if src.Locks != nil {
		locks, err := src.Locks(ctx)
		if err != nil {
			st.Errors = append(st.Errors, "locks: "+err.Error())
		}
		st.Locks = head(locks)
	}
	if src.Locking != nil {
		st.Locking = src.Locking(ctx)
	}
	if src.Replies != nil {
		st.Replies = src.Replies(ctx)
	}
	if src.Caches != nil {
		st.Caches = src.Caches(ctx)
	}
	if src.SMB != nil {
		st.SMB = src.SMB(ctx)
	}
	if src.Traffic != nil {
		st.Traffic = src.Traffic(ctx)
	}
	return st
}

func head[T any](list []T) []T { return list[:min(len(list), MaxListed)] }
