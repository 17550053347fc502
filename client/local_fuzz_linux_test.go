package client_test

import (
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/client/clientpb"
)

// FuzzLocalRequest sends a gateway two packets that any program on its machine may send, with a handle of a file or as they are. The connection ends, what was
// lent by it too, and another program is answered.
func FuzzLocalRequest(f *testing.F) {
	w := newOnHost(f, nil)
	w.opened("-", []byte("text"))
	handle := w.wire("file")
	honest := w.stranger()
	for _, r := range []*clientpb.LocalRequest{{Id: 7}, {Id: 7, Back: true}, {Id: 1<<64 - 1, Handle: handle[:20]}, {Handle: handle}, {}} {
		text, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		for _, own := range []bool{false, true} {
			f.Add(text, text, own)
			f.Add(text, []byte{8, 7, 24, 1}, own)
		}
	}
	f.Add(make([]byte, 5000), []byte{}, false)
	f.Fuzz(func(t *testing.T, first, second []byte, own bool) {
		honest.t = t
		c := strangerAt(t, w.socket)
		for _, text := range [][]byte{first, second} {
			r := &clientpb.LocalRequest{}
			if own && proto.Unmarshal(text, r) == nil {
				r.Handle = handle
				text, _ = proto.Marshal(r)
			}
			c.Write(text[:min(len(text), 64<<10)]) // the gateway may have hung up
		}
		c.CloseWrite()
		buf, oob := make([]byte, 4096), make([]byte, 128)
		for {
			n, nOOB, _, _, err := c.ReadMsgUnix(buf, oob)
			if err != nil || n == 0 {
				break
			}
			messages, _ := unix.ParseSocketControlMessage(oob[:nOOB])
			for i := range messages {
				fds, _ := unix.ParseUnixRights(&messages[i])
				for _, fd := range fds {
					if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
						t.Error("a descriptor that can be written by is lent:", flags, err)
					}
					unix.Close(fd)
				}
			}
			if r := (&clientpb.LocalReply{}); proto.Unmarshal(buf[:n], r) != nil || !causeway.Code(r.Code).Known() && r.Code != 0 {
				t.Errorf("it is answered %q", buf[:n])
			}
		}
		fd, code := honest.ask(handle)
		if fd >= 0 {
			unix.Close(fd)
		}
		if code != causeway.OK {
			t.Fatal("the next program is not answered:", code)
		}
		if n := w.lender.Loans(); n > 1 {
			t.Fatal(n, "loans are left")
		}
	})
}
