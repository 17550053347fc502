package smb

import (
	"net/netip"
	"slices"
	"strings"

	"causeway"
	"causeway/gateway/smb/dfs"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

const fsDriverRequired ntstatus.Status = 0xc000019c

// referrals answers where a share is served: each one is the root of a stand-alone namespace at every gateway, and its targets are gateways
// ([MS-SMB2] 3.3.5.15.2, [MS-DFSC] 3.2.5). Of shares that the user may not use nothing is said.
func (m *message) referrals(r *wire.IOCtlRequest) ([]byte, error) {
	if m.conn.srv.cfg.Referrals == nil {
		return nil, fsDriverRequired
	}
	if r.File != wire.AnyFile {
		return nil, ntstatus.InvalidParameter
	}
	if err := m.named(); err != nil {
		return nil, err
	}
	parse := dfs.Parse
	if r.Control == fscc.FSCTLDFSGetReferralsEx {
		parse = dfs.ParseEx
	}
	request, err := parse(r.Input)
	if err != nil {
		return nil, err
	}
	server, share, _ := dfs.Split(request.Path)
	if share == "" { // a client of a domain asks for its servers
		return nil, ntstatus.NotFound
	}
	v := m.visible(share)
	if v == nil {
		return nil, ntstatus.NotFound
	}
	answer := dfs.Referral{Path: `\` + server + `\` + share, Root: true, TTL: m.conn.srv.cfg.ReferralTTL()}
	answer.Consumed = answer.Path
	for _, t := range m.conn.srv.cfg.Referrals.Referrals(v, m.conn.remote) {
		at := len(answer.Targets)
		if at == dfs.MaxTargets {
			break
		}
		name := t.name(server)
		if strings.EqualFold(name, server) || t.Addr.IsValid() && t.Addr.Unmap() == m.conn.local { // who is welcome where he is stays there
			at = 0
		}
		answer.Targets = slices.Insert(answer.Targets, at, `\`+name+`\`+v.Name)
	}
	if len(answer.Targets) == 0 {
		answer.Targets = []string{`\` + server + `\` + v.Name}
	}
	return answer.Append(nil, request.MaxLevel, int(r.Room))
}

// name is how a client writes the target, who wrote this server so. Colons cannot stand in the paths of Windows: an IPv6 address is written as
// a name there, which it resolves itself ([MS-DTYP] 2.2.57). Who writes addresses as they are is of another kind.
func (t *Target) name(asked string) string {
	switch a := t.Addr.Unmap(); {
	case !a.IsValid():
		return t.Server
	case a.Is4() || strings.Contains(asked, ":"):
		return a.String()
	default:
		return literal(a)
	}
}

// literal is an IPv6 address as a name that begins and ends as names do.
func literal(a netip.Addr) string {
	text := strings.ReplaceAll(a.WithZone("").String(), ":", "-")
	if strings.HasPrefix(text, "-") {
		text = "0" + text
	}
	if strings.HasSuffix(text, "-") {
		text += "0"
	}
	return text + ".ipv6-literal.net"
}

// visible finds a volume that the user may use, by the name of its share.
func (m *message) visible(share string) *causeway.Volume {
	cfg := &m.conn.srv.cfg
	v := cfg.volume(share)
	if v == nil {
		return nil
	}
	if _, ok := cfg.Share(v, m.ch.session.user.Load(), m.conn.remote); !ok {
		return nil
	}
	return v
}
