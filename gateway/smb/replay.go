package smb

import (
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

const duplicateObjectID ntstatus.Status = 0xc000022a

// replayed answers a CREATE whose CreateGuid names an open of its client already ([MS-SMB2] 3.3.5.9.10): again, if the client repeats it.
func (m *message) replayed(r *wire.CreateRequest, list []contexts.Context, asked *caching) (done bool, err error) {
	files := &m.conn.srv.files
	files.mu.Lock()
	o := files.byGUID[createKey{m.caller.Owner.Client, asked.guid}]
	files.mu.Unlock()
	if o == nil {
		return false, nil
	}
	if m.h.Flags&wire.FlagReplay == 0 {
		return false, duplicateObjectID
	}
	return false, nil
}
