package client

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/client/clientpb"
)

// pair is two connected sockets that keep packets apart.
func pair(t testing.TB) (ours, theirs *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

// descriptors is how many this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// FuzzLocalReply has the library hear two packets of a gateway on its machine, with some descriptors, for a file that it has asked for. Who asked is answered, nothing is
// read any more when the connection is gone, and no descriptor is left.
func FuzzLocalReply(f *testing.F) {
	recall := []byte{8, 1, 32, 1} // of what is being asked for
	for _, r := range []*clientpb.LocalReply{
		{Id: 1, LeaseMs: 300}, {Id: 1, LeaseMs: 1<<32 - 1}, {Id: 1, Recall: true}, {Id: 1, Code: uint32(causeway.ErrAccess)}, {Id: 2, LeaseMs: 1}, {Id: 2, Recall: true}, {},
	} {
		text, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		for _, files := range []byte{0, 1, 1<<4 | 1, 3} {
			f.Add(text, text, files)
			f.Add(text, recall, files)
			f.Add(recall, text, files)
		}
	}
	c := &Client{life: f.Context()}
	f.Fuzz(func(t *testing.T, first, second []byte, files byte) {
		before := descriptors(t)
		ours, theirs := pair(t)
		q, b := &question{time.Now(), make(chan struct{})}, &borrowed{id: 1}
		g := &localGateway{c: c, conn: ours, waits: map[uint64]*question{1: q}, loans: map[uint64]*borrowed{1: b}}
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range [][]byte{first, second} {
			var rights []byte
			if n := int(files >> (4 * i) & 3); n > 0 {
				fds := make([]int, n)
				for i := range fds {
					fds[i] = int(null.Fd())
				}
				rights = unix.UnixRights(fds...)
			}
			if _, _, err := theirs.WriteMsgUnix(text[:min(len(text), 64<<10)], rights, nil); err != nil {
				t.Fatal(err)
			}
		}
		null.Close()
		theirs.CloseWrite()
		g.hear(ours)
		theirs.Close()
		<-q.done
		if good, _ := b.state(); good || b.file != nil {
			t.Error("it goes on reading when the gateway is gone")
		}
		if len(g.waits)+len(g.loans) > 0 || g.conn != nil {
			t.Error("the connection is remembered")
		}
		if now := descriptors(t); now > before {
			t.Errorf("%d descriptors are left", now-before)
		}
	})
}
