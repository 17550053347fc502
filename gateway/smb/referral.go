package smb

import (
	"slices"

	"causeway"
	"causeway/gateway/smb/dfs"
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
	parse := dfs.Parse
	if r.Control == wire.CtlDFSReferralsEx {
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
	answer := dfs.Referral{Path: `\` + server + `\` + share, Root: true, TTL: m.conn.srv.cfg.ReferralTTL}
	answer.Consumed = answer.Path
	for _, t := range m.conn.srv.cfg.Referrals.Referrals(v, m.conn.remote) {
		at := len(answer.Targets)
		if at == dfs.MaxTargets {
			break
		}
		if t.Server == server || t.Server == m.conn.local.String() { // who is welcome where he is stays there
			at = 0
		}
		answer.Targets = slices.Insert(answer.Targets, at, `\`+t.Server+`\`+v.Name)
	}
	if len(answer.Targets) == 0 {
		answer.Targets = []string{`\` + server + `\` + v.Name}
	}
	return answer.Append(nil, request.MaxLevel, int(r.Room))
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
