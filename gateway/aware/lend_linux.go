package aware

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/client/clientpb"
)

func listenLocal(path string) (*net.UnixListener, error) {
	at := &net.UnixAddr{Name: path, Net: "unixpacket"}
	if c, err := net.DialUnix("unixpacket", nil, at); err == nil {
		c.Close()
		return nil, fmt.Errorf("aware: another process answers at %s", path)
	}
	if i, err := os.Lstat(path); err == nil && i.Mode().Type() == os.ModeSocket { // of one that died
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	u, err := net.ListenUnix("unixpacket", at)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// acceptAgain is the pause after a failed accept.
const acceptAgain = 100 * time.Millisecond

// Serve answers programs until the listener is closed or the server ends.
func (l *Lender) Serve(u *net.UnixListener) error {
	stop := context.AfterFunc(l.s.life, func() { u.Close() })
	defer stop()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := u.AcceptUnix()
		switch {
		case l.s.life.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // there are no descriptors, for now
			l.s.cfg.Log.Warn("a program on this machine could not be answered", "err", err)
			select {
			case <-time.After(acceptAgain):
			case <-l.s.life.Done():
			}
			continue
		}
		who, err := processOf(c)
		if err != nil {
			l.s.cfg.Log.Warn("it is not known who asks for a file at this machine", "err", err)
		}
		if err != nil || !l.admit(who) {
			c.Close()
			continue
		}
		conns.Go(func() {
			l.converse(c, who)
			l.mu.Lock()
			less(l.conns, who.uid)
			l.mu.Unlock()
		})
	}
}

// admit takes a connection, unless there are too many.
func (l *Lender) admit(who *process) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if crowded(l.conns, who.uid, maxLocalConns) {
		return false
	}
	l.conns[who.uid]++
	return true
}

// borrower is a connection of a program.
type borrower struct {
	*net.UnixConn
	who   *process
	loans map[uint64]*loan
}

// sendWithin bounds how long a program that does not read is waited for.
const sendWithin = loanLease / 2

func (b *borrower) send(r *clientpb.LocalReply, rights []byte) error {
	m, err := proto.Marshal(r)
	if err == nil {
		b.SetWriteDeadline(time.Now().Add(sendWithin))
		_, _, err = b.WriteMsgUnix(m, rights, nil)
	}
	return err
}

// tell sends what nobody asked for. It waits neither for a program that does not read nor for an answer that is being sent: one program that has a
// thousand files would hold up a recall for as many times sendWithin.
func (b *borrower) tell(r *clientpb.LocalReply) {
	m, err := proto.Marshal(r)
	if err != nil {
		return
	}
	if raw, err := b.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Sendto(int(fd), m, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil) })
	}
}

// converse answers a program until it hangs up.
func (l *Lender) converse(c *net.UnixConn, who *process) {
	stop := context.AfterFunc(l.s.life, func() { c.Close() })
	defer stop()
	defer c.Close()
	b := &borrower{UnixConn: c, who: who, loans: map[uint64]*loan{}}
	defer l.hungUp(b)
	buf := make([]byte, maxLocal)
	for {
		n, err := c.Read(buf)
		if err != nil || n == 0 {
			return
		}
		if !l.receive(b, buf[:n]) {
			return
		}
	}
}

// receive answers a packet. It reports false if the connection is to end.
func (l *Lender) receive(b *borrower, packet []byte) (more bool) {
	defer func() {
		if p := recover(); p != nil {
			l.s.cfg.Log.Error("a request of a program on this machine panicked", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			more = false
		}
	}()
	r := &clientpb.LocalRequest{}
	return proto.Unmarshal(packet, r) == nil && r.Id != 0 && l.answer(b, r) == nil
}

// hungUp takes back what a program has that is gone.
func (l *Lender) hungUp(b *borrower) {
	for _, o := range b.loans {
		l.drop(o)
	}
}

// answer answers a request; an error ends the connection.
func (l *Lender) answer(b *borrower, r *clientpb.LocalRequest) error {
	o := b.loans[r.Id]
	if r.Back {
		if o != nil {
			l.drop(o)
			delete(b.loans, r.Id)
		}
		return nil
	}
	if o != nil && l.over(o) {
		l.drop(o)
		delete(b.loans, r.Id)
		o = nil
	}
	out, rights := &clientpb.LocalReply{Id: r.Id, LeaseMs: uint32(loanLease.Milliseconds())}, []byte(nil)
	passed := -1
	fresh := o == nil
	if fresh {
		b.forget(l)
		o = &loan{id: r.Id, uid: b.who.uid, wire: r.Handle, gone: make(chan struct{}), tell: b.tell}
	}
	err := l.lend(l.s.life, b.who, o, func(fd int) (err error) {
		if fresh { // a description of its own, which cannot be written by
			passed, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		if err != nil {
			return &causeway.Error{Op: "lend", Code: causeway.ErrNotSupp, Err: err}
		}
		return nil
	})
	if passed >= 0 {
		defer unix.Close(passed)
	}
	if err == nil {
		b.loans[r.Id] = o
		if passed >= 0 {
			rights = unix.UnixRights(passed)
		}
	} else {
		delete(b.loans, r.Id)
		out.Code, out.LeaseMs = uint32(causeway.CodeOf(err)), 0
	}
	return b.send(out, rights)
}

// forget drops the ids of loans that have ended, when there are many.
func (b *borrower) forget(l *Lender) {
	if len(b.loans) < maxLoans/4 {
		return
	}
	for id, o := range b.loans {
		if l.over(o) {
			delete(b.loans, id)
		}
	}
}

// over reports whether a loan has ended.
func (l *Lender) over(o *loan) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return o.ended || !l.files[o.handle][o]
}

// processOf asks the kernel who is at the other end: SO_PEERCRED and SO_PEERGROUPS, unix(7).
func processOf(c *net.UnixConn) (p *process, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		p = &process{uid: cred.Uid, gid: cred.Gid}
		p.groups, err = peerGroups(fd)
	})
	return p, errors.Join(failed, err)
}

func peerGroups(fd uintptr) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno != unix.ERANGE || size/4 > maxGroups:
			return nil, errno
		}
		groups = make([]uint32, size/4) // as many as the kernel says
	}
}
