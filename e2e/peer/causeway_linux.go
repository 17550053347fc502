package peer

import (
	"context"
	"os/exec"
	"path/filepath"
)

// StartCauseway starts the causeway binary on a directory. options are further flags of `causeway serve`.
func StartCauseway(ctx context.Context, program string, cfg Config, options ...string) (*Server, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	state := filepath.Join(cfg.Work, "state")
	arguments := append([]string{
		"serve", exportName + "=" + cfg.Dir,
		"--listen", nfsPort.String(),
		"--state-dir", state,
		"--allow", "127.0.0.0/8=rw,no_root_squash",
		"--admin", "127.0.0.1:9440",
	}, options...)
	s := Server{NFS: nfsPort, Mount: nfsPort, Export: "/" + exportName, Admin: filepath.Join(state, "control.sock")}
	return launch(ctx, cfg, s, exec.Command(program, arguments...))
}
