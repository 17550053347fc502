package peer

import (
	"context"
	"os/exec"
)

// StartGoNFS starts the program of peer/gonfs.
func StartGoNFS(ctx context.Context, program string, cfg Config) (*Server, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	s := Server{NFS: nfsPort, Mount: nfsPort, Export: "/"}
	return launch(ctx, cfg, s, exec.Command(program, nfsPort.String(), cfg.Dir))
}
