package pki

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func issued(t *testing.T, a *Authority, node string, now time.Time) *Identity {
	t.Helper()
	r, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := r.DER(node, []string{"127.0.0.1", "host.example"})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue(der, node, now)
	if err != nil {
		t.Fatal(err)
	}
	trusted, _ := a.PEM()
	id, err := Store(t.TempDir(), cert, r.KeyPEM(), []byte(trusted))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func authority(t *testing.T, now time.Time) *Authority {
	t.Helper()
	a, err := NewAuthority("c1", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// handshake has a client talk to a server and returns what either says.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	result := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(c, "hello")
			c.Close()
		}
		result <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = io.ReadAll(c)
		c.Close()
	} else {
		l.Close()
	}
	return errors.Join(err, <-result)
}

func TestOnlyTheClusterTalks(t *testing.T) {
	now := time.Now()
	a := authority(t, now)
	g1, g2, stranger := issued(t, a, "g1", now), issued(t, a, "g2", now), issued(t, authority(t, now), "g1", now)
	if err := handshake(t, g1.Server(), g2.Client()); err != nil {
		t.Error(err)
	}
	if err := handshake(t, g1.Server(), stranger.Client()); err == nil {
		t.Error("a stranger's server was trusted, or the stranger was")
	}
	blind := stranger.Client()
	blind.InsecureSkipVerify = true
	if err := handshake(t, g1.Server(), blind); err == nil {
		t.Error("a stranger was let in")
	}
	if err := handshake(t, g1.Server(), &tls.Config{RootCAs: g2.Client().RootCAs}); err == nil {
		t.Error("somebody without a certificate was let in")
	}
	if err := handshake(t, g1.Door(), &tls.Config{RootCAs: g2.Client().RootCAs}); err != nil {
		t.Error("the door is closed to joiners:", err)
	}
	if err := handshake(t, g1.Door(), blind); err == nil {
		t.Error("a stranger's certificate was taken at the door")
	}
	old := issued(t, a, "g3", now.Add(-CertificateLife-time.Hour))
	if err := handshake(t, g1.Server(), old.Client()); err == nil {
		t.Error("an expired certificate was taken")
	}
}

func TestIssue(t *testing.T) {
	a := authority(t, noon)
	r, _ := NewRequest()
	der, _ := r.DER("g1", []string{"10.0.0.1"})
	if _, err := a.Issue(der, "g2", noon); err == nil {
		t.Error("a request for g1 made a certificate for g2")
	}
	der[len(der)-1] ^= 1
	if _, err := a.Issue(der, "g1", noon); err == nil {
		t.Error("a request with a false signature was taken")
	}
	cert := issued(t, a, "g1", noon).Certificate()
	if Due(cert, noon.Add(CertificateLife/2-time.Hour)) || !Due(cert, noon.Add(CertificateLife/2+time.Hour)) {
		t.Error("renewal is due at the wrong time")
	}
	late := issued(t, a, "g1", noon.Add(AuthorityLife-time.Hour)).Certificate()
	if late.NotAfter.After(a.Certificate.NotAfter) {
		t.Error("a certificate outlives its authority")
	}
	back, err := ParseAuthority(a.PEM())
	if err != nil || back.Fingerprint() != a.Fingerprint() {
		t.Error(err)
	}
	c, _ := a.PEM()
	_, k := authority(t, noon).PEM()
	if _, err := ParseAuthority(c, k); err == nil {
		t.Error("a foreign key was taken")
	}
}

func TestReplace(t *testing.T) {
	now := time.Now()
	a := authority(t, now)
	id := issued(t, a, "g1", now.Add(-CertificateLife))
	server := id.Server()
	if err := handshake(t, server, issued(t, a, "g2", now).Client()); err == nil {
		t.Fatal("the certificate should have ended")
	}
	fresh := issued(t, a, "g1", now)
	for _, f := range []string{pairFile, authorityFile} {
		data, err := os.ReadFile(fresh.dir + "/" + f)
		if err != nil {
			t.Fatal(err)
		}
		if err := Replace(id.dir+"/"+f, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := id.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, server, issued(t, a, "g2", now).Client()); err != nil {
		t.Error("a running server did not take its new certificate:", err)
	}
	if info, err := os.Stat(id.PairFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestToken(t *testing.T) {
	a := authority(t, noon)
	token, err := NewToken(a)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseToken(token.String())
	if err != nil || back != token || back.Fingerprint != a.Fingerprint() {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secret byte
		now    time.Time
		want   error
	}{{0, noon, nil}, {1, noon, ErrToken}, {0, noon.Add(2 * time.Hour), ErrExpired}, {1, noon.Add(2 * time.Hour), ErrToken}} {
		secret := token.Secret
		secret[0] ^= c.secret
		if err := Check(secret[:], token.Hash(), noon.Add(time.Hour), c.now); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("cw1.0123456789ab.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("cw1...")
	f.Fuzz(func(t *testing.T, s string) {
		if token, err := ParseToken(s); err == nil && token.String() != s {
			t.Fatalf("%q became %q", s, token)
		}
	})
}

func FuzzIssue(f *testing.F) {
	a, err := NewAuthority("c", noon)
	if err != nil {
		f.Fatal(err)
	}
	r, _ := NewRequest()
	der, _ := r.DER("g1", []string{"10.0.0.1"})
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		data, err := a.Issue(der, "g1", noon)
		if err != nil {
			return
		}
		cert, err := ParseCertificate(data)
		if err != nil || cert.IsCA || cert.Subject.CommonName != "g1" || len(cert.DNSNames)+len(cert.IPAddresses) > maxHosts {
			t.Fatal(cert, err)
		}
	})
}
