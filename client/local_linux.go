package client

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/client/clientpb"
)

// maxLocal is what a message of the socket has at most.
const maxLocal = 4 << 10

// localGateway is a gateway on this machine, which lends descriptors.
type localGateway struct {
	path string
	c    *Client
	next atomic.Uint64

	mu    sync.Mutex
	conn  *net.UnixConn
	waits map[uint64]*question // by id
	loans map[uint64]*borrowed
	retry time.Time
	ended bool
}

// question is one that waits for its answer.
type question struct {
	sent time.Time
	done chan struct{}
}

// findLocal returns the gateway on this machine; nil if there is none.
func (c *Client) findLocal() *localGateway {
	if i, err := os.Stat(c.cfg.Local); c.cfg.Local == "-" || err != nil || i.Mode().Type() != os.ModeSocket {
		return nil
	}
	return &localGateway{path: c.cfg.Local, c: c, waits: map[uint64]*question{}, loans: map[uint64]*borrowed{}}
}

func (g *localGateway) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.ended = true
	if g.conn != nil {
		g.conn.Close()
	}
	g.mu.Unlock()
}

// connected returns the connection, which is made anew at most once a second.
func (g *localGateway) connected() *net.UnixConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil || g.ended || time.Now().Before(g.retry) {
		return g.conn
	}
	g.retry = time.Now().Add(askLendingAgain)
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: g.path, Net: "unixpacket"})
	if err != nil {
		return nil
	}
	g.conn = conn
	g.c.tasks.Go(func() { g.hear(conn) })
	return conn
}

// hear takes answers and recalls in until the connection ends, with which all ends that was lent.
func (g *localGateway) hear(conn *net.UnixConn) {
	defer g.lost(conn)
	buf, oob := make([]byte, maxLocal), make([]byte, unix.CmsgSpace(4))
	for {
		n, nOOB, _, _, err := conn.ReadMsgUnix(buf, oob)
		file, r := passed(oob[:nOOB]), &clientpb.LocalReply{}
		if err != nil || n == 0 || proto.Unmarshal(buf[:n], r) != nil {
			drop(file)
			return
		}
		g.take(r, file)
	}
}

// take obeys a message. All are obeyed in the order in which they were sent, so that no answer undoes a recall that came after it.
func (g *localGateway) take(r *clientpb.LocalReply, file *os.File) {
	g.mu.Lock()
	q, b := g.waits[r.Id], g.loans[r.Id]
	if !r.Recall {
		delete(g.waits, r.Id)
	}
	g.mu.Unlock()
	switch {
	case r.Recall && b != nil:
		b.end(true) // reads that run take no longer than the storage does
		g.back(b)
	case !r.Recall && q != nil && b != nil:
		b.lent(r, file, q.sent)
		close(q.done)
		return
	case !r.Recall && q != nil: // it was recalled while the question was on its way, and given back: that ends what is lent now, too
		close(q.done)
	}
	drop(file)
}

func drop(file *os.File) {
	if file != nil {
		file.Close()
	}
}

// lent takes an answer in.
func (b *borrowed) lent(r *clientpb.LocalReply, file *os.File, sent time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if causeway.Code(r.Code) != causeway.OK || file == nil && b.file == nil {
		drop(file)
		b.retry = time.Now().Add(askLendingAgain)
		return
	}
	if file != nil {
		drop(b.file)
		b.file = file
	}
	b.until = sent.Add(time.Duration(r.LeaseMs) * time.Millisecond)
}

// passed is the descriptor that came with a message; nil: none.
func passed(oob []byte) *os.File {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	for _, fd := range fds[1:] {
		unix.Close(fd)
	}
	return os.NewFile(uintptr(fds[0]), "lent")
}

func (g *localGateway) lost(conn *net.UnixConn) {
	conn.Close()
	g.mu.Lock()
	waits, loans := g.waits, g.loans
	g.conn, g.waits, g.loans = nil, map[uint64]*question{}, map[uint64]*borrowed{}
	g.mu.Unlock()
	for _, q := range waits {
		close(q.done)
	}
	for _, b := range loans {
		b.end(true)
	}
}

// lease asks for a file, or for more time with it. It reports whether the file may be read now.
func (g *localGateway) lease(b *borrowed) bool {
	b.ask.Lock()
	defer b.ask.Unlock()
	good, wait := b.state()
	if good || wait {
		return good
	}
	g.request(b)
	good, _ = b.state()
	if !good {
		b.mu.Lock()
		b.retry = time.Now().Add(askLendingAgain)
		b.mu.Unlock()
	}
	return good
}

// state says whether the file may be read now, and if not, whether it is too early to ask again.
func (b *borrowed) state() (good, wait bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := time.Now()
	return b.file != nil && now.Before(b.until), now.Before(b.retry)
}

// request asks the gateway and waits for its answer.
func (g *localGateway) request(b *borrowed) {
	conn := g.connected()
	if conn == nil {
		return
	}
	q := &question{time.Now(), make(chan struct{})}
	g.mu.Lock()
	g.waits[b.id], g.loans[b.id] = q, b
	g.mu.Unlock()
	if send(conn, &clientpb.LocalRequest{Id: b.id, Handle: b.handle}) != nil {
		return
	}
	over := time.NewTimer(localWithin)
	defer over.Stop()
	select {
	case <-q.done:
	case <-over.C:
		conn.Close() // an answer that comes later would be taken for another one's
	case <-g.c.life.Done():
	}
}

// back tells the gateway that a file is not used any more.
func (g *localGateway) back(b *borrowed) {
	g.mu.Lock()
	conn := g.conn
	if conn != nil {
		delete(g.loans, b.id)
	}
	g.mu.Unlock()
	if conn != nil {
		_ = send(conn, &clientpb.LocalRequest{Id: b.id, Back: true}) // if not, its lease ends
	}
}

func send(conn *net.UnixConn, r *clientpb.LocalRequest) error {
	m, err := proto.Marshal(r)
	if err == nil {
		_, err = conn.Write(m)
	}
	return err
}
