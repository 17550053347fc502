package harness

import (
	"os"
	"syscall"
	"testing"
)

// Server is what the tests of mounts run against: a gateway, or a peer to compare with.
type Server interface {
	Mount(volume string) Mount
	Start() // again, after Kill or Stop
	Stop()
	Kill()
	Signal(syscall.Signal)
	Pid() int
	Log() string
}

var (
	_ Server = (*Gateway)(nil)
	_ Server = (*Ganesha)(nil)
)

// Peer reports whether CAUSEWAY_E2E_SERVER=ganesha asks for a run of the tests against nfs-ganesha, which shows whether a
// failure is the tests' own.
func Peer() bool { return os.Getenv("CAUSEWAY_E2E_SERVER") == "ganesha" }

// StartServer starts a gateway, or the peer that the environment asks for.
func StartServer(t testing.TB, host *Host, config GatewayConfig) Server {
	t.Helper()
	if Peer() {
		return StartGanesha(t, host, config.Volumes)
	}
	return StartGateway(t, host, config)
}
