//go:build linux

package discovery

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// message makes a DNS message from its header's flags and counts, and what follows.
func message(flags uint16, counts [4]uint16, parts ...string) []byte {
	m := binary.BigEndian.AppendUint16([]byte{0x12, 0x34}, flags)
	for _, n := range counts {
		m = binary.BigEndian.AppendUint16(m, n)
	}
	return append(m, strings.Join(parts, "")...)
}

// wire is a name as it is sent.
func wire(name string) string {
	var b strings.Builder
	for label := range strings.SplitSeq(name, ".") {
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	return b.String() + "\x00"
}

// option is one of EDNS.
func option(code byte, data string) string {
	return string([]byte{0, code, 0, byte(len(data))}) + data
}

// opt is an OPT record of the root, for 1,232 bytes.
func opt(version, flags byte, options ...string) string {
	all := strings.Join(options, "")
	return string([]byte{0, 0, 41, 4, 208, 0, version, flags, 0, 0, byte(len(all))}) + all
}

// send sends a message and says how it is answered: rcode, flags, how many questions are repeated, whether there are answers, and the options.
func (s *stage) send(network, at string, m []byte) string {
	s.t.Helper()
	c, err := s.network.Test().Dial(s.t.Context(), network, net.JoinHostPort(at, "53"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	reply := make([]byte, 4096)
	var n int
	if network == "tcp" {
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		if _, err = io.ReadFull(c, reply[:2]); err == nil {
			n, err = io.ReadFull(c, reply[:min(int(binary.BigEndian.Uint16(reply)), len(reply))])
		}
	} else {
		c.Write(m)
		n, err = c.Read(reply)
	}
	if err != nil || n < 12 {
		return fmt.Sprint("no answer: ", err)
	}
	return described(reply[:n])
}

// described is a reply in short. Its OPT record is the last one.
func described(r []byte) string {
	flags, count := binary.BigEndian.Uint16(r[2:]), func(i int) int { return int(binary.BigEndian.Uint16(r[i:])) }
	out := fmt.Sprintf("rcode %d", flags&15)
	for name, bit := range map[string]uint16{" aa": 1 << 10, " tc": 1 << 9} {
		if flags&bit != 0 {
			out += name
		}
	}
	out += fmt.Sprintf(" questions %d", count(4))
	if count(6) > 0 {
		out += " answered"
	}
	for size := 11; size <= len(r)-12 && count(10) > 0; size++ { // from the end, since names before it are compressed
		o := r[len(r)-size:]
		if o[0] != 0 || o[1] != 0 || o[2] != 41 || int(binary.BigEndian.Uint16(o[9:])) != size-11 {
			continue
		}
		out += fmt.Sprintf(" edns %d/%d", o[5], o[6])
		if o[7]&0x80 != 0 {
			out += " do"
		}
		for o = o[11:]; len(o) >= 4; o = o[4+int(binary.BigEndian.Uint16(o[2:])):] {
			out += fmt.Sprintf(" option %d", o[1])
		}
		return out
	}
	return out
}

// TestOddMessages sends what is unusual or wrong to a gateway and to BIND, for a name of its own zone. They answer alike, but where it says otherwise.
func TestOddMessages(t *testing.T) {
	s := setStage(t)
	s.Await("the gateway knows the volume", func() bool { return len(s.short(s.servers[0], "home."+zone)) == 1 })
	const a, one = "\x00\x01\x00\x01", 1
	cookie := option(10, "12345678")
	asked, extra, bare := [4]uint16{one}, [4]uint16{one, 0, 0, 1}, [4]uint16{}
	for _, test := range []struct {
		name string
		make func(home string) []byte
		want string // of the gateway
		bind string // of BIND, if that is something else
	}{
		{"a question", func(h string) []byte { return message(0, asked, h, a) }, "rcode 0 aa questions 1 answered", ""},
		{"which wants to be an answer, truncated and verified", func(h string) []byte { return message(0x06a5, asked, h, a) }, "rcode 0 aa questions 1 answered", ""},
		{"in capitals", func(h string) []byte { return message(0, asked, strings.ToUpper(h), a) }, "rcode 0 aa questions 1 answered", ""},
		{"with something behind", func(h string) []byte { return message(0, asked, h, a, "abc") }, "rcode 0 aa questions 1 answered", ""},
		{"none", func(string) []byte { return message(0, bare) }, "rcode 1 questions 0", ""},
		{"none, but EDNS", func(string) []byte { return message(0, [4]uint16{0, 0, 0, 1}, opt(0, 0)) }, "rcode 1 questions 0 edns 0/0", ""},
		{"none, but a cookie", func(string) []byte { return message(0, [4]uint16{0, 0, 0, 1}, opt(0, 0, cookie)) }, "rcode 0 questions 0 edns 0/0 option 10", ""},
		{"two", func(h string) []byte { return message(0, [4]uint16{2}, h, a, h, "\x00\x1c\x00\x01") }, "rcode 1 questions 0", "rcode 1 questions 2"},
		{"65,535", func(h string) []byte { return message(0, [4]uint16{65535}, h, a) }, "rcode 1 questions 0", ""},
		{"half of one", func(h string) []byte { return message(0, asked, h[:5]) }, "rcode 1 questions 0", ""},
		{"a name that leads to itself", func(string) []byte { return message(0, asked, "\xc0\x0c", a) }, "rcode 1 questions 0", ""},
		{"a name of 320 bytes", func(string) []byte {
			return message(0, asked, strings.Repeat("?"+strings.Repeat("x", 63), 5), "\x00", a)
		}, "rcode 1 questions 0", ""},
		{"inverse query", func(h string) []byte { return message(1<<11, asked, h, a) }, "rcode 4 questions 0", ""},
		{"status", func(h string) []byte { return message(2<<11, asked, h, a) }, "rcode 4 questions 0", ""},
		{"operation 3", func(h string) []byte { return message(3<<11, asked, h, a) }, "rcode 4 questions 0", ""},
		{"update", func(h string) []byte { return message(5<<11, asked, h, "\x00\x06\x00\x01") }, "rcode 4 questions 0", "rcode 9 questions 1"}, // BIND could
		{"operation 15", func(h string) []byte { return message(15<<11, asked, h, a) }, "rcode 4 questions 0", ""},
		{"class CHAOS", func(string) []byte { return message(0, asked, wire("version.bind"), "\x00\x10\x00\x03") }, "rcode 5 questions 1", "rcode 0 aa questions 1 answered"}, // we tell nobody
		{"class HESIOD", func(h string) []byte { return message(0, asked, h, "\x00\x01\x00\x04") }, "rcode 5 questions 1", ""},
		{"class ANY", func(h string) []byte { return message(0, asked, h, "\x00\x01\x00\xff") }, "rcode 5 questions 1", "rcode 1 questions 1"},
		{"type OPT", func(h string) []byte { return message(0, asked, h, "\x00\x29\x00\x01") }, "rcode 1 questions 1", ""},
		{"type TSIG", func(h string) []byte { return message(0, asked, h, "\x00\xfa\x00\x01") }, "rcode 1 questions 1", ""},
		{"type 0", func(h string) []byte { return message(0, asked, h, "\x00\x00\x00\x01") }, "rcode 0 aa questions 1", ""},
		{"type MAILA", func(h string) []byte { return message(0, asked, h, "\x00\xfe\x00\x01") }, "rcode 4 questions 1", ""},
		{"DNSSEC wanted", func(h string) []byte { return message(0, extra, h, a, opt(0, 0x80)) }, "rcode 0 aa questions 1 answered edns 0/0 do", ""},
		{"EDNS 1", func(h string) []byte { return message(0, extra, h, a, opt(1, 0)) }, "rcode 0 questions 1 edns 1/0", ""}, // BADVERS
		{"EDNS 255, whose options look wrong", func(h string) []byte { return message(0, extra, h, a, opt(255, 0, option(10, "x"))) }, "rcode 0 questions 1 edns 1/0", "rcode 1 questions 1 edns 0/0"},
		{"EDNS twice", func(h string) []byte { return message(0, [4]uint16{one, 0, 0, 2}, h, a, opt(0, 0), opt(0, 0)) }, "rcode 1 questions 1", ""},
		{"EDNS at a name", func(h string) []byte { return message(0, extra, h, a, "\x01x"+opt(0, 0)) }, "rcode 1 questions 1 edns 0/0", "rcode 1 questions 1"},
		{"an unknown option", func(h string) []byte { return message(0, extra, h, a, opt(0, 0, option(200, "x"))) }, "rcode 0 aa questions 1 answered edns 0/0", ""},
		{"half an option", func(h string) []byte { return message(0, extra, h, a, opt(0, 0, "\x00\xc8\x00\x09x")) }, "rcode 1 questions 0", "rcode 1 questions 1"},
		{"a cookie", func(h string) []byte { return message(0, extra, h, a, opt(0, 0, cookie)) }, "rcode 0 aa questions 1 answered edns 0/0 option 10", ""},
		{"of 7 bytes", func(h string) []byte { return message(0, extra, h, a, opt(0, 0, option(10, "1234567"))) }, "rcode 1 questions 1 edns 0/0", ""},
		{"of somebody else's", func(h string) []byte { return message(0, extra, h, a, opt(0, 0, option(10, strings.Repeat("x", 24)))) }, "rcode 0 aa questions 1 answered edns 0/0 option 10", ""},
		{"two", func(h string) []byte { return message(0, extra, h, a, opt(0, 0, cookie, cookie)) }, "rcode 0 aa questions 1 answered edns 0/0 option 10", ""},
		{"a client's network", func(h string) []byte {
			return message(0, extra, h, a, opt(0, 0, option(8, "\x00\x01\x18\x00\x0a\x07\x01")))
		}, "rcode 0 aa questions 1 answered edns 0/0 option 8", ""},
		{"with bits behind it", func(h string) []byte {
			return message(0, extra, h, a, opt(0, 0, option(8, "\x00\x01\x14\x00\x0a\x07\x01")))
		}, "rcode 1 questions 1 edns 0/0", ""},
		{"with a scope", func(h string) []byte {
			return message(0, extra, h, a, opt(0, 0, option(8, "\x00\x01\x18\x18\x0a\x07\x01")))
		}, "rcode 1 questions 1 edns 0/0", "rcode 1 questions 1"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := s.send(network, s.servers[0].String(), test.make(wire("home."+zone))); got != test.want {
				t.Errorf("%s by %s: %s, not %s", test.name, network, got, test.want)
			}
		}
		want := test.want
		if test.bind != "" {
			want = test.bind
		}
		if got := s.send("udp", s.bind.Host.Address.String(), test.make(wire("ns.example.com"))); got != want {
			t.Errorf("%s: BIND says %s, not %s", test.name, got, want)
		}
	}
}
