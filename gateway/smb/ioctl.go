package smb

import (
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// ioctl is [MS-SMB2] 3.3.5.15.
func (m *message) ioctl() error {
	var r wire.IOCtlRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if r.Room > maxTransfer || len(r.Input) > maxTransfer || !m.affords(max(r.Room, uint32(len(r.Input)))) {
		return ntstatus.InvalidParameter
	}
	if r.Flags&wire.CtlIsFSCtl == 0 {
		return ntstatus.NotSupported
	}
	var out []byte
	var err error
	switch r.Control {
	case fscc.FSCTLValidateNegotiate:
		out, err = m.validateNegotiate(&r)
	case fscc.FSCTLDFSGetReferrals, fscc.FSCTLDFSGetReferralsEx:
		out, err = m.referrals(&r)
	case fscc.FSCTLPipeTransceive:
		out, err = m.transceive(&r)
	case fscc.FSCTLNetworkInterfaces:
		out, err = m.interfaces(&r)
	default:
		if err = m.find(r.File); err == nil {
			out, err = m.control(&r)
		}
	}
	if err != nil && !carriesReply(statusOf(err)) && out == nil {
		return err
	}
	m.b = wire.AppendIOCtl(m.b, r.Control, r.File, out)
	m.ownBody = out != nil
	return err
}

// control answers the controls of an open file ([MS-FSA] 2.1.5.10).
func (m *message) control(r *wire.IOCtlRequest) ([]byte, error) {
	o := m.open
	if o.pipe != nil {
		return nil, ntstatus.NotSupported
	}
	switch r.Control {
	case fscc.FSCTLRequestResumeKey:
		if r.Room < fscc.ResumeKeySize+8 {
			return nil, ntstatus.InvalidParameter
		}
		return fscc.AppendResumeKey(nil, o.resumeKey()), nil
	case fscc.FSCTLCopyChunk, fscc.FSCTLCopyChunkWrite:
		return m.copyChunks(r)
	case fscc.FSCTLSetSparse:
		return nil, m.setSparse(r)
	case fscc.FSCTLSetZeroData:
		return nil, m.zeroData(r)
	case fscc.FSCTLAllocatedRanges:
		return m.allocatedRanges(r)
	case fscc.FSCTLGetReparsePoint:
		return m.reparsePoint(r)
	case fscc.FSCTLSetReparsePoint:
		return nil, m.setReparsePoint(r)
	case fscc.FSCTLDeleteReparsePoint:
		return nil, m.deleteReparsePoint(r)
	case fscc.FSCTLCreateOrGetObjectID:
		return m.objectID(r)
	case fscc.FSCTLGetCompression:
		return []byte{0, 0}, nil
	case fscc.FSCTLSetCompression:
		return nil, m.setCompression(r)
	case fscc.FSCTLIsPathnameValid:
		return nil, nil
	}
	return nil, ntstatus.InvalidDeviceRequest
}

// setCompression knows one format, none ([MS-FSCC] 2.3.67).
func (m *message) setCompression(r *wire.IOCtlRequest) error {
	if err := m.open.needs(wire.AccessWriteData); err != nil {
		return err
	}
	switch {
	case len(r.Input) < 2:
		return ntstatus.InvalidParameter
	case le.Uint16(r.Input) != 0:
		return ntstatus.NotSupported
	}
	return nil
}

// maxInterfaces bounds the addresses that a client is told.
const maxInterfaces = 32

// interfaces tells the addresses to which a client may open further connections ([MS-SMB2] 3.3.5.15.11): that to which it came first, and no
// more than it has room for.
func (m *message) interfaces(r *wire.IOCtlRequest) ([]byte, error) {
	if r.File != wire.AnyFile {
		return nil, ntstatus.InvalidParameter
	}
	if !m.conn.local.IsValid() {
		return nil, ntstatus.NotSupported
	}
	came := fscc.Interface{Index: 1, Addr: m.conn.local, RSS: true}
	list := []fscc.Interface{came}
	if more := m.conn.srv.cfg.Interfaces; more != nil {
		for _, i := range more() {
			one := fscc.Interface{Index: uint32(max(i.Index, 1)), Addr: i.Addr.Unmap().WithZone(""), Speed: i.Speed, RSS: true}
			if one.Addr == came.Addr {
				list[0] = one
			} else if len(list) < maxInterfaces {
				list = append(list, one)
			}
		}
	}
	if room := int(r.Room) / fscc.InterfaceSize; room > 0 && room < len(list) {
		list = list[:room]
	}
	return fscc.AppendInterfaces(nil, list, int(r.Room))
}

// objectID tells an id of 16 bytes that the object keeps ([MS-FSCC] 2.4.28.1).
func (m *message) objectID(r *wire.IOCtlRequest) ([]byte, error) {
	const size = 64
	if r.Room < size {
		return nil, ntstatus.BufferTooSmall
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return nil, err
	}
	b := le.AppendUint64(nil, attr.FileID)
	b = le.AppendUint64(b, uint64(m.open.handle.Volume))
	return append(b, make([]byte, size-len(b))...), nil
}

// validateNegotiate proves to clients of 3.0 and 3.0.2 that nobody has changed the negotiation. Where it does not agree, the
// connection ends ([MS-SMB2] 3.3.5.15.12).
func (m *message) validateNegotiate(r *wire.IOCtlRequest) ([]byte, error) {
	n := &m.conn.negotiated
	var v wire.ValidateRequest
	if n.dialect == wire.Dialect311 || v.Parse(r.Input) != nil {
		return nil, errProtocol
	}
	if r.Room < 24 {
		return nil, errProtocol
	}
	best := wire.Dialect(0)
	for _, d := range dialects {
		for _, offered := range v.Dialects {
			if d == offered && best == 0 {
				best = d
			}
		}
	}
	if best != n.dialect || v.GUID != n.clientGUID || v.Capabilities != n.capabilities || v.SecurityMode != n.mode {
		return nil, errProtocol
	}
	return wire.AppendValidateReply(nil, n.offered, m.conn.srv.cfg.GUID, m.conn.srv.mode(), n.dialect), nil
}
