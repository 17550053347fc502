package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ganeshaConfig exports a directory by NFSv3. What is not said here is Ganesha's default.
const ganeshaConfig = `NFS_CORE_PARAM {
	Protocols = 3;
	NFS_Port = 2049;
	MNT_Port = 20048;
	Enable_NLM = false;
	Enable_RQUOTA = false;
	mount_path_pseudo = true;
}
EXPORT {
	Export_Id = 1;
	Path = %s;
	Pseudo = /` + exportName + `;
	Access_Type = RW;
	Squash = No_Root_Squash;
	Protocols = 3;
	Transports = TCP;
	SecType = sys;
	FSAL { Name = VFS; }
}
LOG { Default_Log_Level = WARN; }
`

// ganeshaScript gives Ganesha the /run and /var/lib/nfs that it and rpcbind write to, and starts rpcbind, without which
// it does not start.
const ganeshaScript = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/rpcbind /run/ganesha /run/lock
mkdir -p /var/lib/nfs
mount -t tmpfs tmpfs /var/lib/nfs
mkdir -p /var/lib/nfs/ganesha
rpcbind -w -f &
until [ -S /run/rpcbind.sock ]; do sleep 0.05; done
exec ganesha.nfsd -F -L "$1/ganesha.log" -f "$1/ganesha.conf" -p /run/ganesha/pid
`

// StartGanesha starts nfs-ganesha. It needs root, and rpcbind and ganesha.nfsd in the path.
func StartGanesha(ctx context.Context, cfg Config) (*Server, error) {
	for _, program := range []string{"rpcbind", "ganesha.nfsd"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("ganesha: %w (Debian packages nfs-ganesha-vfs, rpcbind)", err)
		}
	}
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(ganeshaConfig, cfg.Dir)
	if err := os.WriteFile(filepath.Join(cfg.Work, "ganesha.conf"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", ganeshaScript, "sh", cfg.Work)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	s := Server{NFS: nfsPort, Mount: mountPort, Export: "/" + exportName}
	return launch(ctx, cfg, s, cmd)
}
