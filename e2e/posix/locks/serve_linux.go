package locks

import (
	"net"
	"os"
	"os/exec"
)

// Serve starts an actor (program with args, and the connection as descriptor 3) for each connection, until the listener
// fails. The end of a connection kills its actor.
func Serve(listener net.Listener, program string, args ...string) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		file, err := conn.(interface{ File() (*os.File, error) }).File()
		conn.Close()
		if err != nil {
			return err
		}
		cmd := exec.Command(program, args...)
		cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
		err = cmd.Start()
		file.Close()
		if err != nil {
			return err
		}
		go cmd.Wait()
	}
}
