package smb

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
)

// mob is a number of clients that send whatever comes to their minds, about files that they share.
type mob struct {
	rig *rig
	all sync.WaitGroup

	mu     sync.Mutex
	files  []wire.FileID // of all
	next   uint64        // session
	served sync.WaitGroup
}

// member is a client on one connection.
type member struct {
	mob    *mob
	conn   *conn
	client net.Conn
	random *rand.Rand
	id     uint64
	sent   uint64
	own    []wire.FileID // guarded by the mob's lock
}

// TestMob: clients that make no sense, go away in the middle, read nothing and cancel one another's requests, all at once, leave nothing
// behind and break nothing.
func TestMob(t *testing.T) {
	conns := 100
	if testing.Short() {
		conns = 4
	}
	synctest.Test(t, func(t *testing.T) {
		m := &mob{rig: newRig(t, false), next: 100}
		for who := range 6 {
			m.all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(who), 6))
				for range conns {
					m.join(random).misbehave(80)
				}
			})
		}
		m.all.Wait()
		m.served.Wait()
		time.Sleep(10 * time.Minute) // what was kept for those who went is over
		r := m.rig
		r.close()
		st, files := r.srv.Stats(), &r.srv.files
		if st.Panics != 0 || st.Buffers != 0 || st.Opens != 0 || st.Sessions != 0 {
			t.Errorf("left behind: %+v", st)
		}
		if len(files.byHandle) != 0 || len(files.leases) != 0 || len(files.byGUID) != 0 || len(files.creating) != 0 || r.srv.notices.Load() != 0 {
			t.Errorf("left behind: %d, %d, %d, %d, %d bytes", len(files.byHandle), len(files.leases), len(files.byGUID), len(files.creating), r.srv.notices.Load())
		}
		files.sweepLocked(time.Now())
		if len(files.kept) != 0 || len(files.users) != 0 {
			t.Errorf("%d opens are kept, %v are counted", len(files.kept), files.users)
		}
	})
}

// join makes a connection on which a user is logged on.
func (m *mob) join(random *rand.Rand) *member {
	client, server := net.Pipe()
	srv := m.rig.srv
	c := newConn(srv, server)
	c.negotiated = m.rig.conn.negotiated
	c.negotiated.clientGUID = [16]byte{byte(random.IntN(3))}
	c.window.take(0, 1)
	c.window.grant(8000)
	m.mu.Lock()
	m.next++
	id := m.next
	m.mu.Unlock()
	ses := &session{srv: srv, id: id, guid: c.negotiated.clientGUID, dialect: wire.Dialect302, trees: map[uint32]*tree{}, opens: map[wire.FileID]*open{}}
	ses.signer, _ = secure.NewSigner(wire.SignAESCMAC, make([]byte, 16))
	uid := uint32(1000 + random.IntN(2))
	ses.user.Store(&auth.User{Name: "u", UID: uid, GID: uid})
	ch := &channel{conn: c, session: ses, signer: ses.signer}
	ch.usable.Store(true)
	ses.channels = []*channel{ch}
	ses.trees[1], ses.trees[2], ses.lastTree = m.rig.ses.trees[1], &tree{id: 2, name: "IPC$"}, 2
	srv.mu.Lock()
	srv.sessions[id] = ses
	srv.mu.Unlock()
	c.sessions[id] = ch
	c.welcome()
	m.served.Go(c.serve)
	return &member{mob: m, conn: c, client: client, random: random, id: id}
}

// misbehave sends a number of messages and goes.
func (b *member) misbehave(messages int) {
	defer b.client.Close()
	b.client.SetDeadline(time.Now().Add(30 * time.Second))
	if b.random.IntN(8) > 0 {
		b.mob.all.Go(b.listen)
	}
	for range messages {
		m := b.message()
		if b.random.IntN(10) == 0 {
			for len(m)%8 != 0 {
				m = append(m, 0)
			}
			wire.PutNext(m, uint32(len(m)))
			m = append(m, b.message()...)
		}
		if b.random.IntN(60) == 0 {
			m[b.random.IntN(len(m))] ^= byte(1 + b.random.IntN(255))
		}
		if _, err := b.client.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)); err != nil {
			return
		}
	}
	time.Sleep(time.Duration(b.random.IntN(3)) * 20 * time.Millisecond)
}

// listen reads replies, and tells the others of what was opened.
func (b *member) listen() {
	for {
		var head [4]byte
		if _, err := io.ReadFull(b.client, head[:]); err != nil {
			return
		}
		m := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(b.client, m); err != nil {
			return
		}
		var h wire.Header
		if h.Parse(m) == nil && h.Command == wire.Create && h.Status == 0 && len(m) >= wire.HeaderSize+80 {
			at := m[wire.HeaderSize+64:]
			b.mob.mu.Lock()
			id := wire.FileID{Persistent: le.Uint64(at), Volatile: le.Uint64(at[8:])}
			b.mob.files, b.own = append(b.mob.files, id), append(b.own, id)
			b.mob.mu.Unlock()
		}
	}
}

func (b *member) file() wire.FileID {
	b.mob.mu.Lock()
	defer b.mob.mu.Unlock()
	files := b.own
	if b.random.IntN(10) == 0 {
		files = b.mob.files
	}
	n := len(files)
	if n == 0 || b.random.IntN(20) == 0 {
		return wire.AnyFile
	}
	return files[n-1-b.random.IntN(min(n, 12))]
}

func pick[T any](random *rand.Rand, list ...T) T { return list[random.IntN(len(list))] }

// message is an element with a body that is mostly well formed.
func (b *member) message() []byte {
	command := pick(b.random, wire.Create, wire.Create, wire.Create, wire.Close, wire.Read, wire.Write, wire.Lock, wire.Lock, wire.ChangeNotify, wire.Cancel, wire.Flush,
		wire.QueryDirectory, wire.QueryInfo, wire.SetInfo, wire.SetInfo, wire.IOCtl, wire.OplockBreak, wire.Echo, wire.TreeConnect)
	switch b.random.IntN(200) {
	case 0:
		command = wire.Logoff
	case 1:
		command = wire.TreeDisconnect
	case 2, 3:
		command = wire.SessionSetup
	}
	body := b.body(command)
	flags := pick(b.random, 0, 0, 0, 0, 0, wire.FlagRelated, wire.FlagReplay)
	h := wire.Header{CreditCharge: 1, Command: command, Credits: 4, Flags: flags, TreeID: 1, SessionID: b.id}
	if b.random.IntN(12) == 0 {
		h.TreeID = 2
	}
	if command == wire.Cancel {
		h.MessageID = b.sent - min(b.sent, uint64(b.random.IntN(4)))
		if b.random.IntN(2) == 0 {
			h.Flags, h.AsyncID = wire.FlagAsync, uint64(b.random.IntN(20))
		}
	} else {
		b.sent++
		h.MessageID = b.sent
	}
	m := make([]byte, wire.HeaderSize, wire.HeaderSize+len(body))
	h.Put(m)
	return append(m, body...)
}

func (b *member) body(command wire.Command) []byte {
	random, id := b.random, b.file()
	var body []byte
	at := func(off int) {
		le.PutUint64(body[off:], id.Persistent)
		le.PutUint64(body[off+8:], id.Volatile)
	}
	switch command {
	case wire.Create:
		return b.createBody()
	case wire.Close, wire.Flush:
		return closeBody(id)
	case wire.Read, wire.Write:
		return dataBody(id, command == wire.Write)
	case wire.Lock:
		body = make([]byte, 48)
		body[0], body[2] = 48, 1
		at(8)
		le.PutUint64(body[24:], uint64(random.IntN(4)))
		le.PutUint64(body[32:], uint64(random.IntN(4)))
		le.PutUint32(body[40:], pick(random, wire.LockShared, wire.LockExclusive, wire.LockExclusive|wire.LockFailNow, wire.LockUnlock))
	case wire.ChangeNotify:
		body = notifyBody(id)
		body[2] = byte(random.IntN(2))
		le.PutUint32(body[24:], fscc.NotifyAll)
	case wire.QueryDirectory:
		body = make([]byte, 32)
		body[0], body[2], body[3] = 33, byte(1+random.IntN(3)), byte(random.IntN(32))
		at(8)
		le.PutUint32(body[28:], uint32(random.IntN(65536)))
	case wire.QueryInfo:
		body = make([]byte, 40)
		body[0], body[2], body[3] = 41, byte(1+random.IntN(3)), byte(random.IntN(40))
		le.PutUint32(body[4:], uint32(random.IntN(65536)))
		le.PutUint32(body[16:], 7)
		at(24)
	case wire.SetInfo:
		body = renameBody(id, pick(random, "a", "b", "d", `d\c`, "D"))
		body[3] = pick[byte](random, 10, 10, 11, 13, 20, 4, 15)
	case wire.IOCtl:
		body = make([]byte, 56+48)
		body[0] = 57
		le.PutUint32(body[4:], pick(random, fscc.FSCTLCopyChunk, fscc.FSCTLRequestResumeKey, fscc.FSCTLPipeTransceive, fscc.FSCTLSetSparse, fscc.FSCTLSetZeroData, fscc.FSCTLAllocatedRanges,
			fscc.FSCTLSetReparsePoint, fscc.FSCTLDFSGetReferrals, fscc.FSCTLNetworkInterfaces))
		at(8)
		le.PutUint32(body[24:], wire.HeaderSize+56)
		le.PutUint32(body[28:], uint32(random.IntN(49)))
		le.PutUint32(body[44:], uint32(random.IntN(4096)))
		le.PutUint32(body[48:], 1)
	case wire.OplockBreak:
		if random.IntN(2) == 0 {
			body = make([]byte, 24)
			body[0] = 24
			at(8)
			break
		}
		body = make([]byte, 36)
		body[0], body[8], body[24] = 36, byte(1+random.IntN(3)), byte(random.IntN(4))
	case wire.TreeConnect:
		path := wide(pick(random, `\\x\vol`, `\\x\IPC$`, `\\x\none`))
		body = make([]byte, 8)
		body[0] = 9
		le.PutUint16(body[4:], wire.HeaderSize+8)
		le.PutUint16(body[6:], uint16(len(path)))
		body = append(body, path...)
	case wire.SessionSetup:
		body = make([]byte, 24+16)
		body[0], body[2] = 25, byte(random.IntN(2)*random.IntN(2))
		le.PutUint16(body[12:], wire.HeaderSize+24)
		le.PutUint16(body[14:], 16)
		copy(body[24:], "NTLMSSP\x00\x01")
	default:
		return echo
	}
	return body
}

// createBody asks for leases, oplocks and handles that last, of files and directories.
func (b *member) createBody() []byte {
	random := b.random
	name := pick(random, "", "a", "b", "e", "f", "d", `d\c`, "srvsvc")
	body := createBody(name, byte(random.IntN(4)), pick(random, stateR, stateRH, stateRW, stateRWH))
	switch random.IntN(8) {
	case 0:
		body = durableCreate(name, byte(random.IntN(4)))
	case 1:
		body[3] = pick(random, wire.OplockII, wire.OplockExclusive, wire.OplockBatch)
	}
	le.PutUint32(body[24:], pick(random, wire.AccessAll, wire.AccessReadData, wire.AccessReadAttributes, wire.AccessDelete|wire.AccessReadData))
	le.PutUint32(body[32:], pick[uint32](random, 7, 7, 7, 7, 7, 7, 0, 3))
	le.PutUint32(body[36:], pick(random, uint32(wire.OpenIf), uint32(wire.OpenIf), uint32(random.IntN(6))))
	le.PutUint32(body[40:], pick(random, 0, 0, 0, 0, wire.OptDirectory, wire.OptDeleteOnClose))
	return body
}
