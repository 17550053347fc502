package harness

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ganesha is a running nfs-ganesha on a host: the peer that tests and benchmarks are compared with.
type Ganesha struct {
	*daemon
	Address netip.Addr
	Port    int
}

const ganeshaConfig = `NFS_CORE_PARAM {
	NFS_Port = %d;
	MNT_Port = %d;
	Protocols = 3, 4;
	mount_path_pseudo = true;
	Enable_RQUOTA = false;
}
NFSv4 { Graceless = true; RecoveryRoot = "%s"; }
`

const ganeshaExport = `EXPORT {
	Export_Id = %d;
	Path = "%s";
	Pseudo = "/%s";
	Access_Type = RW;
	Squash = No_Root_Squash;
	SecType = sys;
	PrivilegedPort = false;
	FSAL { Name = VFS; }
}
`

// StartGanesha starts nfs-ganesha with a directory per export name. It brings its own rpcbind and statd, in a mount
// namespace where their state is memory, so that several hosts can have one.
func StartGanesha(t testing.TB, host *Host, exports map[string]string) *Ganesha {
	t.Helper()
	RequireProgram(t, "ganesha.nfsd", "nfs-ganesha nfs-ganesha-vfs")
	dir := t.TempDir()
	config := fmt.Sprintf(ganeshaConfig, nfsPort, nfsPort+1, dir)
	id := 0
	for name, path := range exports {
		id++
		config += fmt.Sprintf(ganeshaExport, id, path, name)
	}
	file := filepath.Join(dir, "ganesha.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/nfs && mkdir -p /run/ganesha /run/rpcbind /var/lib/nfs/sm /var/lib/nfs/sm.bak && " +
		"rpcbind -w && rpc.statd --no-notify && exec ganesha.nfsd -F -L /dev/stdout -f " +
		file + " -p /run/ganesha.pid -N EVENT"
	g := &Ganesha{Address: host.Address, Port: nfsPort}
	g.daemon = newDaemon(t, host, "ganesha", "unshare", "-m", "/bin/sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; "+script)
	g.Start()
	return g
}

// Start starts Ganesha again after Kill or Stop and waits until it serves.
func (g *Ganesha) Start() {
	g.t.Helper()
	g.start()
	g.await(g.ready)
}

// ready asks the portmapper, which knows MOUNT only once Ganesha serves.
func (g *Ganesha) ready() error {
	result, err := g.host.Run(g.t.Context(), "rpcinfo", "-p", g.Address.String())
	if err == nil && !strings.Contains(result.Stdout, "100005") {
		err = fmt.Errorf("MOUNT is not registered: %s%s", result.Stdout, result.Stderr)
	}
	return err
}

// Mount returns how to mount an export with NFSv3.
func (g *Ganesha) Mount(export string) Mount {
	return Mount{Server: g.Address.String(), Export: "/" + export, Version: "3", Port: g.Port, MountPort: g.Port + 1}
}
