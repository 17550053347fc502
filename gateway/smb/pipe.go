package smb

import (
	"strings"

	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// createPipe opens a named pipe of IPC$.
func (m *message) createPipe(r *wire.CreateRequest) error {
	if err := m.mayWait(); err != nil {
		return err
	}
	name, err := wire.UTF16(r.Name)
	if err != nil {
		return err
	}
	pipes := m.conn.srv.cfg.Pipes
	if pipes == nil {
		return ntstatus.ObjectNameNotFound
	}
	p, err := pipes.OpenPipe(strings.TrimPrefix(strings.ToLower(name), `\`), m.ch.session.user.Load(), m.conn.remote)
	if err != nil {
		return err
	}
	o := &open{pipe: p, access: specific(r.Access), share: r.Share}
	if err := m.register(o); err != nil {
		p.Close()
		return err
	}
	reply := wire.CreateReply{Action: wire.ActionOpened, File: o.id, Info: wire.FileInfo{Attributes: uint32(fscc.AttrNormal)}}
	m.b = reply.Append(m.b)
	return nil
}

func (m *message) writePipe(data []byte) error {
	if err := m.mayWait(); err != nil {
		return err
	}
	m.open.mu.Lock()
	defer m.open.mu.Unlock()
	if err := m.open.pipe.Write(data); err != nil {
		return err
	}
	m.b = wire.AppendWrite(m.b, uint32(len(data)))
	return nil
}

// readPipe takes what has been answered. Of a message that is longer, the rest follows.
func (m *message) readPipe(n uint32) error {
	out, status, err := m.takePipe(n)
	if err != nil {
		return err
	}
	at := len(m.b)
	m.reserve(wire.ReadReplySize + len(out))
	m.b = append(m.b[:at+wire.ReadReplySize], out...)
	wire.PutRead(m.b[at:], uint32(len(out)))
	return status
}

func (m *message) takePipe(n uint32) ([]byte, error, error) {
	m.open.mu.Lock()
	defer m.open.mu.Unlock()
	out, more, err := m.open.pipe.Read(int(n))
	if causeway.CodeOf(err) == causeway.ErrNoEnt {
		return nil, nil, ntstatus.PipeEmpty
	}
	if err != nil {
		return nil, nil, err
	}
	if more {
		return out, ntstatus.BufferOverflow, nil
	}
	return out, nil, nil
}

// transceive writes and reads in one step.
func (m *message) transceive(r *wire.IOCtlRequest) ([]byte, error) {
	if err := m.mayWait(); err != nil {
		return nil, err
	}
	if err := m.find(r.File); err != nil {
		return nil, err
	}
	if m.open.pipe == nil {
		return nil, ntstatus.InvalidDeviceRequest
	}
	m.open.mu.Lock()
	err := m.open.pipe.Write(r.Input)
	m.open.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out, status, err := m.takePipe(r.Room)
	if err == nil {
		err = status
	}
	return out, err
}
