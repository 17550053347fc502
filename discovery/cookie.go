package discovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Cookies prove that an asker is where he says (RFC 7873), so that no limit is needed for him. All gateways of a cluster accept one another's:
// they share the secret. The layout is that of RFC 9018, the hash our own.
const (
	clientCookie = 8
	serverCookie = 16
	maxCookie    = 40
	cookieLife   = time.Hour
	cookieAhead  = 5 * time.Minute // of another gateway's clock
)

// readCookie checks a cookie and puts a new one into the reply. It reports whether it was one.
func (x *exchange) readCookie(o *dns.EDNS0_COOKIE) bool {
	got, err := hex.DecodeString(o.Cookie)
	if err != nil || len(got) != clientCookie && (len(got) < 2*clientCookie || len(got) > maxCookie) {
		return false
	}
	if x.server.zone.Load() == nil {
		return true
	}
	now := x.server.cfg.Now()
	x.proved = x.server.cookieHolds(got, x.from.addr, now)
	made := x.server.cookie(got[:clientCookie], x.from.addr, now)
	x.cookie = &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(made)}
	return true
}

// cookie makes the whole cookie for a client.
func (s *Server) cookie(client []byte, addr netip.Addr, at time.Time) []byte {
	c := make([]byte, clientCookie, clientCookie+serverCookie)
	copy(c, client)
	c = append(c, 1, 0, 0, 0)
	c = binary.BigEndian.AppendUint32(c, uint32(at.Unix()))
	secret := s.secret()
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(c)
	mac.Write(addr.AsSlice())
	return append(c, mac.Sum(nil)[:8]...)
}

func (s *Server) cookieHolds(got []byte, addr netip.Addr, now time.Time) bool {
	if len(got) != clientCookie+serverCookie {
		return false
	}
	made := binary.BigEndian.Uint32(got[clientCookie+4:])
	age := time.Duration(int32(uint32(now.Unix())-made)) * time.Second
	return age <= cookieLife && age >= -cookieAhead && hmac.Equal(got, s.cookie(got[:clientCookie], addr, time.Unix(int64(made), 0)))
}
