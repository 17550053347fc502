package smb

import (
	"crypto/rand"
	"slices"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// dialects are those that are spoken, best first.
var dialects = []wire.Dialect{wire.Dialect311, wire.Dialect302, wire.Dialect300, wire.Dialect210, wire.Dialect202}

// Ciphers and signing algorithms, best first: those that the processor's AES and carry-less multiplication help most.
var (
	ciphers  = []uint16{wire.CipherAES128GCM, wire.CipherAES128CCM, wire.CipherAES256GCM, wire.CipherAES256CCM}
	signings = []uint16{wire.SignAESGMAC, wire.SignAESCMAC, wire.SignHMACSHA256}
)

// negotiateSMB1 answers the negotiate of a client that does not know yet whether we speak SMB2 ([MS-SMB2] 3.3.5.3).
func (c *conn) negotiateSMB1(msg *message, m []byte) error {
	d, err := wire.SMB1Negotiate(m)
	if err != nil || d == 0 || c.negotiated.dialect != 0 {
		msg.release()
		return errProtocol
	}
	if !c.window.take(0, 1) {
		msg.release()
		return errProtocol
	}
	c.negotiated.dialect = d
	msg.startElement()
	msg.h = wire.Header{Command: wire.Negotiate, Credits: 1}
	if d == wire.Dialect202 {
		c.settle202()
	}
	msg.appendNegotiate(d)
	msg.finishElement(nil)
	msg.finish()
	return nil
}

func (c *conn) settle202() {
	n := &c.negotiated
	n.done, n.dialect, n.dialects = true, wire.Dialect202, []wire.Dialect{wire.Dialect202}
	n.signing = wire.SignHMACSHA256
}

// negotiate is [MS-SMB2] 3.3.5.4. A second one ends the connection.
func (m *message) negotiate() error {
	c, n := m.conn, &m.conn.negotiated
	if n.done || m.sealed != nil || len(m.rest) > 0 || len(m.elements) > 1 {
		return errProtocol
	}
	var r wire.NegotiateRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if len(r.Dialects) == 0 {
		return ntstatus.InvalidParameter
	}
	dialect := wire.Dialect(0)
	for _, d := range dialects {
		if slices.Contains(r.Dialects, d) {
			dialect = d
			break
		}
	}
	if dialect == 0 {
		return ntstatus.NotSupported
	}
	if err := n.choose(dialect, &r); err != nil {
		return err
	}
	n.dialect, n.clientGUID, n.capabilities, n.mode, n.dialects = dialect, r.ClientGUID, r.Capabilities, r.SecurityMode, r.Dialects
	n.offered = c.offer(dialect)
	m.appendNegotiate(dialect)
	n.done = true
	if dialect == wire.Dialect311 {
		n.preauth.Update(m.m)
		m.hash = n.preauth.Update // the reply's too, once it is complete
	}
	return nil
}

// choose settles algorithms.
func (n *negotiated) choose(d wire.Dialect, r *wire.NegotiateRequest) error {
	switch {
	case d < wire.Dialect300:
		n.signing = wire.SignHMACSHA256
		return nil
	case d < wire.Dialect311:
		n.signing = wire.SignAESCMAC
		if r.Capabilities&wire.CapEncryption != 0 {
			n.cipher = wire.CipherAES128CCM
		}
		return nil
	}
	if !r.HasPreauth {
		return ntstatus.InvalidParameter
	}
	if !slices.Contains(r.Hashes, wire.HashSHA512) {
		return noPreauthOverlap
	}
	n.hasCipher, n.hasSigning = r.HasCiphers, r.HasSignings
	n.cipher = firstOf(ciphers, r.Ciphers, 0)
	n.signing = firstOf(signings, r.Signings, wire.SignAESCMAC)
	return nil
}

func firstOf(ours, theirs []uint16, otherwise uint16) uint16 {
	for _, a := range ours {
		if slices.Contains(theirs, a) {
			return a
		}
	}
	return otherwise
}

// offer is what the server can do in a dialect.
func (c *conn) offer(d wire.Dialect) (caps uint32) {
	if c.srv.cfg.Referrals != nil {
		caps |= wire.CapDFS
	}
	if d >= wire.Dialect210 {
		caps |= wire.CapLargeMTU | wire.CapLeasing
	}
	if d >= wire.Dialect300 {
		caps |= wire.CapMulti | wire.CapDirLeasing
	}
	if (d == wire.Dialect300 || d == wire.Dialect302) && c.negotiated.cipher != 0 {
		caps |= wire.CapEncryption
	}
	return caps
}

// mode is the server's security mode.
func (s *Server) mode() uint16 {
	if s.cfg.AllowUnsigned {
		return wire.SigningEnabled
	}
	return wire.SigningEnabled | wire.SigningRequired
}

func (m *message) appendNegotiate(d wire.Dialect) {
	c, n := m.conn, &m.conn.negotiated
	var salt [32]byte
	rand.Read(salt[:]) // never fails
	r := wire.NegotiateReply{
		SecurityMode: c.srv.mode(), Dialect: d, ServerGUID: c.srv.cfg.GUID, Capabilities: n.offered,
		MaxTransact: maxTransfer, MaxRead: maxTransfer, MaxWrite: maxTransfer,
		SystemTime: filetime(c.srv.cfg.Now()), Security: c.srv.logon.Hint(),
		Salt: salt[:], Cipher: n.cipher, HasCipher: n.hasCipher, Signing: n.signing, HasSigning: n.hasSigning,
	}
	if n.offered&wire.CapLargeMTU == 0 && d != wire.DialectAny {
		r.MaxTransact, r.MaxRead, r.MaxWrite = maxTransferSmall, maxTransferSmall, maxTransferSmall
	}
	m.b = r.Append(m.b, m.at())
}
