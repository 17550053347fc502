package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"causeway"
	"causeway/cluster/address"
	"causeway/cmd/causeway/accounts"
	"causeway/cmd/causeway/config"
	"causeway/gateway"
	"causeway/gateway/smb"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/names"
	"causeway/redirect/demand"
)

// smbFront is SMB at a gateway. The zero smbFront serves nothing.
type smbFront struct {
	server *smb.Server  // nil: none
	listen net.Listener // of a gateway that serves alone
	book   *accounts.Book
	at     func() []netip.Addr // where a gateway of a cluster answers; nil: at listen
}

// smbPort is where clients look for SMB; most cannot be told another one.
const smbPort = 445

// bindSMB takes the address of SMB, if there is to be one.
func (n *node) bindSMB(ctx context.Context) (err error) {
	if a := n.config.SMBAddr; a.IsValid() {
		if n.smb.listen, err = new(net.ListenConfig).Listen(ctx, network("tcp", a), a.String()); err != nil {
			return explainBind("--smb", a, err)
		}
		n.teardown.addClose("SMB listener", func() error { n.smb.listen.Close(); return nil })
	}
	return nil
}

// startSMB makes the server of a gateway that serves alone.
func (n *node) startSMB(context.Context) error {
	n.smb.book = accounts.NewBook(n.state.Path(usersDir))
	if n.smb.listen == nil {
		return nil
	}
	return n.newSMB(accounts.Lookup{Find: n.smb.book.Find, Key: n.smb.book.Key, Fail: func(name string, err error) {
		n.log.Error("an account cannot be read", "user", name, "err", err)
	}})
}

// startSMB makes the server of a gateway of a cluster.
func (j *joining) startSMB(context.Context) error {
	if j.smbPort == 0 {
		return nil
	}
	j.smb.at = j.site.smbAt
	return j.newSMB(j.member.Users())
}

// ports are those at which clients stay connected.
func (j *joining) ports() []uint16 {
	if j.smbPort == 0 {
		return []uint16{j.port}
	}
	return []uint16{j.port, j.smbPort}
}

// opening is the access part for protocols that open.
type opening struct {
	namesAndLocks
	gateway.Stateful
}

type namesAndLocks = gateway.Access // by another name than that of a method

// smbFaces are what SMB sees of the engines.
func (n *node) smbFaces() (smb.Access, gateway.Transfer) {
	if n.member == nil {
		return n.access, n.moves
	}
	return smb.Named(opening{n.faces.access, n.member.Split().Router()}), n.faces.transfer
}

func (n *node) newSMB(users auth.Users) (err error) {
	access, transfer := n.smbFaces()
	host, _ := os.Hostname()
	front := smb.Config{
		Access: access, Transfer: transfer, Catalog: n.volumes.catalog, Share: mayUse, Enter: n.gate.Enter, Folding: names.Insensitive,
		Auth: auth.Config{Users: users, Computer: computer(host)}, Comment: "Causeway", Logger: n.log, MaxConns: connections(),
		Observe: func(client netip.Addr, v causeway.VolumeID, bytes int) {
			n.crowd.book.Add(demand.Key{Client: client, Volume: v, Protocol: "smb"}, bytes)
		},
	}
	front.Interfaces = n.smbInterfaces
	if n.member != nil {
		front.Referrals = referrals{n.member.Order}
		front.ReferralTTL = n.member.ReferralTTL
	}
	signed, err := config.ParseSigning(n.config.Signing)
	if err != nil {
		return err
	}
	front.AllowUnsigned = !signed
	guid, err := hex.DecodeString(n.state.Boot().Node)
	if err != nil || copy(front.GUID[:], guid) != len(front.GUID) {
		return fmt.Errorf("the state directory has the id %q", n.state.Boot().Node)
	}
	if n.smb.server, err = smb.New(front); err != nil {
		return err
	}
	n.teardown.add("SMB", n.stopSMB)
	return n.metrics.Registry().Register(smbMetrics{n.smb.server.Stats})
}

// referrals sends clients of SMB to the gateways in the order in which names are answered.
type referrals struct {
	order func(volume string, client netip.Addr) []netip.Addr
}

// Referrals implements smb.Referrals.
func (r referrals) Referrals(v *causeway.Volume, client netip.Addr) (list []smb.Target) {
	for _, a := range r.order(v.Name, client) {
		list = append(list, smb.Target{Addr: a})
	}
	return list
}

// stopSMB lets requests finish, as stopRPC does, and clients of a gateway that serves alone write back what they cache.
func (n *node) stopSMB(ctx context.Context) error {
	if n.member == nil {
		returns, cancel := context.WithTimeout(ctx, smbReturnsWithin)
		n.smb.server.Recall(returns)
		cancel()
		return n.smb.server.Shutdown(ctx)
	}
	short, cancel := context.WithTimeout(ctx, callsEndWithin)
	defer cancel()
	if err := n.smb.server.Shutdown(short); ctx.Err() != nil {
		return err
	}
	return nil
}

// mayUse decides who may use a volume: whom the volume names, wherever he is.
func mayUse(v *causeway.Volume, u *auth.User, _ netip.Addr) (smb.Share, bool) {
	s := &v.SMB
	named := len(s.Users) == 0 || slices.ContainsFunc(s.Users, func(name string) bool { return strings.EqualFold(name, u.Name) })
	return smb.Share{ReadOnly: v.ReadOnly, Encrypt: s.Encrypt}, named && !s.Off
}

// computer is the NetBIOS name that goes with a host name.
func computer(host string) string {
	host, _, _ = strings.Cut(strings.ToUpper(host), ".")
	fits := func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}
	host = strings.Map(fits, host)
	return host[:min(len(host), 15)]
}

// serveSMB begins to answer on what was bound.
func (n *node) serveSMB() {
	if n.smb.server != nil && n.smb.listen != nil {
		n.run("SMB", func() error {
			if err := n.smb.server.Serve(n.smb.listen); !errors.Is(err, smb.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
}

// listenSMB answers SMB at a service address. s.mu is held.
func (s *site) listenSMB(p *spot, life life, addr netip.Addr) {
	if s.smb.server == nil {
		return
	}
	at := netip.AddrPortFrom(addr, s.smbPort)
	l, err := (&net.ListenConfig{Control: address.Freebind}).Listen(context.Background(), network("tcp", at), at.String())
	if err != nil {
		s.log.Error("no answers over SMB at a service address", "addr", at, "err", err)
		return
	}
	p.smb = l
	p.serving.Go(func() { _ = s.smb.server.Serve(&lived{l, life}) }) // until it is closed
}

// disconnect ends the connections to an address that goes elsewhere.
func (f *smbFront) disconnect(addr netip.Addr) {
	if f.server != nil {
		f.server.Disconnect(addr)
	}
}

// seedUsers makes the accounts that the gateway had while it served alone users of its cluster.
func (j *joining) seedUsers(ctx context.Context) error {
	book := accounts.NewBook(j.state.Path(usersDir))
	list, err := book.Users()
	if err != nil || len(list) == 0 {
		return err
	}
	key, err := book.Key()
	if err != nil {
		return err
	}
	return j.member.SeedUsers(ctx, key, list)
}

// retireUsers puts those accounts aside, now that the gateway stays one of its cluster.
func (j *joining) retireUsers(context.Context) error {
	if err := accounts.NewBook(j.state.Path(usersDir)).Retire(); err != nil {
		j.log.Warn("accounts of before the cluster could not be put aside: those that are removed come back when the gateway is started again", "err", err)
	}
	return nil
}

// announceSMB tells the user how to reach the shares.
func (n *node) announceSMB(w io.Writer, f *founding) {
	if n.smb.server == nil {
		return
	}
	at, user := n.config.SMBAddr, "NAME"
	if f != nil {
		at = netip.AddrPortFrom(f.Addresses[0], at.Port())
	} else if n.smb.listen != nil {
		at = n.smb.listen.Addr().(*net.TCPAddr).AddrPort()
	}
	if n.smb.book != nil {
		list, err := n.smb.book.Users()
		if err == nil && len(list) > 0 {
			user = list[0].Name
		} else {
			fmt.Fprintln(w, "SMB: nobody can log on yet; make a user with: causeway user add NAME")
		}
	}
	server := (&place{addr: at, lan: findLAN()}).server()
	for _, v := range n.volumes.catalog.Volumes() {
		if !v.SMB.Off {
			fmt.Fprintf(w, "share %s, for %s\n%s", v.Name, whoUses(v), smbCommands(server, at.Port(), v, user))
		}
	}
	fmt.Fprintln(w)
}

func whoUses(v *causeway.Volume) string {
	if len(v.SMB.Users) == 0 {
		return "all users"
	}
	return strings.Join(v.SMB.Users, ", ")
}

// smbCommands are the commands that connect a share. Windows has no word for another port, cifs.ko and macOS have.
func smbCommands(server string, port uint16, v *causeway.Volume, user string) string {
	options, finder, windows := "vers=3.1.1,username="+user, server, ""
	if port != smbPort {
		options += fmt.Sprintf(",port=%d", port)
		finder += fmt.Sprintf(":%d", port)
	} else {
		windows = fmt.Sprintf("  Windows:  net use * \\\\%s\\%s /user:%s\n", strings.Trim(server, "[]"), v.Name, user)
	}
	if v.SMB.Encrypt {
		options += ",seal"
	}
	return fmt.Sprintf("%s  macOS:    open smb://%s@%s/%s\n  Linux:    sudo mount -t cifs -o %s //%s/%s /mnt\n", windows, user, finder, v.Name, options,
		strings.Trim(server, "[]"), v.Name)
}
