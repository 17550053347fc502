package wire

import "bytes"

// smb1Header is the size of an SMB1 header ([MS-CIFS] 2.2.3.1); its command stands at byte 4.
const (
	smb1Header    = 32
	smb1Negotiate = 0x72
)

// SMB1Negotiate looks into an SMB1 negotiate for the dialects that lead to SMB2 ([MS-SMB2] 3.3.5.3): "SMB 2.???" is answered with
// DialectAny, "SMB 2.002" with Dialect202. 0: neither is offered.
func SMB1Negotiate(m []byte) (Dialect, error) {
	if len(m) < smb1Header+3 || [4]byte(m) != magicSMB1 || m[4] != smb1Negotiate || m[smb1Header] != 0 {
		return 0, ErrMalformed
	}
	list := m[smb1Header+3:]
	if n := int(le.Uint16(m[smb1Header+1:])); n > len(list) {
		return 0, ErrMalformed
	} else {
		list = list[:n]
	}
	var found Dialect
	for len(list) > 0 {
		end := bytes.IndexByte(list, 0)
		if list[0] != 2 || end < 0 {
			return 0, ErrMalformed
		}
		switch string(list[1:end]) {
		case "SMB 2.???":
			return DialectAny, nil
		case "SMB 2.002":
			found = Dialect202
		}
		list = list[end+1:]
	}
	return found, nil
}
