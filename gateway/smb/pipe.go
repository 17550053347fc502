package smb

import (
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/rpcpipe"
	"causeway/gateway/smb/wire"
)

// maxPipes bounds the pipes of a session: each may hold requests and answers.
const maxPipes = 128

// createPipe opens a named pipe of IPC$.
func (m *message) createPipe(r *wire.CreateRequest) error {
	units, err := names.Parse(r.Name, names.MaxPathBytes)
	if err != nil {
		return err
	}
	p, err := rpcpipe.Open(names.String(units), m.pipeServer())
	if err != nil {
		return err
	}
	o := &open{id: wire.FileID{Persistent: randomID(), Volatile: randomID()}, pipe: p, access: specific(r.Access), share: r.Share}
	if err := m.register(o); err != nil {
		return err
	}
	reply := wire.CreateReply{Action: wire.ActionOpened, File: o.id, Info: wire.FileInfo{Attributes: uint32(fscc.AttrNormal)}}
	m.b = reply.Append(m.b)
	return nil
}

// pipeServer is what calls on pipes are told: to each user the shares that he may use.
func (m *message) pipeServer() *rpcpipe.Server {
	cfg, user, client := &m.conn.srv.cfg, m.ch.session.user.Load(), m.conn.remote
	return &rpcpipe.Server{
		Name: m.conn.srv.logon.Computer(), Domain: m.conn.srv.logon.Domain(), Comment: cfg.Comment, Now: cfg.Now,
		Shares: func() (list []rpcpipe.Share) {
			for _, v := range cfg.Catalog.Volumes() {
				if _, ok := cfg.Share(v, user, client); ok {
					list = append(list, rpcpipe.Share{Name: v.Name, Type: rpcpipe.Disk})
				}
			}
			return append(list, rpcpipe.Share{Name: "IPC$", Type: rpcpipe.IPC | rpcpipe.Special})
		},
	}
}

func (m *message) writePipe(data []byte) error {
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
	m.open.mu.Lock()
	defer m.open.mu.Unlock()
	out, status := m.open.pipe.Read(int(n))
	if status != nil && status != ntstatus.BufferOverflow {
		return status
	}
	at := len(m.b)
	m.reserve(wire.ReadReplySize + len(out))
	m.b = append(m.b[:at+wire.ReadReplySize], out...)
	wire.PutRead(m.b[at:], uint32(len(out)))
	return status
}

// transceive writes and reads in one step.
func (m *message) transceive(r *wire.IOCtlRequest) ([]byte, error) {
	if err := m.find(r.File); err != nil {
		return nil, err
	}
	if m.open.pipe == nil {
		return nil, ntstatus.InvalidDeviceRequest
	}
	m.open.mu.Lock()
	defer m.open.mu.Unlock()
	return m.open.pipe.Transact(r.Input, int(r.Room))
}
