// Package wire is the vocabulary between a test and the agent in its guest: the configuration that a guest boots with, and
// commands with their output as gob streams, one TCP connection per command. Running them belongs to the two ends.
package wire

// Port is the TCP port at which the agent in a guest listens.
const Port = 7101

// ReadyFile is the file in the guest's state directory that the agent makes when it listens. A test that dialled before
// would wait for the retries of ARP.
const ReadyFile = "agent-listens"

// ConfigVariable is the environment variable that tells the guest's first process where its [Config] lies (JSON).
const ConfigVariable = "GUEST_CONFIG"

// Config is what a guest boots with. Paths are the host's.
type Config struct {
	Hostname string
	Address  string // with prefix length, as 10.99.0.101/24
	Gateway  string
	StateDir string            // becomes /var/lib/nfs and survives reboots
	Shared   map[string]string // directories of the host by their path in the guest, writable
	Locking  bool              // run rpcbind and rpc.statd, as NLM clients need
	Hosts    string            // further lines of /etc/hosts
}

// Command is the first and only message of a connection from the test. Closing the connection kills the command's process
// group.
type Command struct {
	Argv     []string
	Dir      string
	Env      []string
	UID, GID uint32
	Groups   []uint32
	Input    []byte
}

// Stream says what an [Event] carries.
type Stream uint8

// The streams of a command, and its end.
const (
	Stdout Stream = iota + 1
	Stderr
	Exit
)

// Event is one message of the agent: a piece of output or, as the last one, the end of the command.
type Event struct {
	Stream Stream
	Data   []byte
	Status int    // of Exit: the exit status, 128+n after signal n
	Error  string // of Exit: why the command could not be started
}
