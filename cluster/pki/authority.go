// Package pki is the cluster's certificate authority: it makes authorities and certificates, and decides whether a join token
// is good. It is pure but for randomness: time is an argument, and storing is the caller's.
//
// Not here: the handshake with a joiner (cluster), files (the state directory's).
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Life times. A certificate is renewed when half of its time is over; a new authority is trusted for a while before it
// issues, and stays trusted until the last certificate of it has ended.
const (
	AuthorityLife   = 10 * 365 * 24 * time.Hour
	CertificateLife = 30 * 24 * time.Hour
	backdate        = 5 * time.Minute // clocks differ
)

// Authority issues certificates.
type Authority struct {
	Certificate *x509.Certificate
	Crosses     string // PEM: certificates of its key by the authority before it, of that one's by the one before, and so on
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority for a cluster.
func NewAuthority(cluster string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "causeway cluster", Organization: []string{cluster}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(AuthorityLife),
		IsCA: true, BasicConstraintsValid: true, // no bound on the path: who trusts an authority trusts those that follow it
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert, "", key}, err
}

// maxCrosses bounds how many earlier authorities lead to one.
const maxCrosses = 4

// Succeed makes the authority that follows this one. Who trusts this one, and has not heard of the next, trusts what that issues: with
// it goes a certificate of the new one's key that this one has signed.
func (a *Authority) Succeed(now time.Time) (*Authority, error) {
	next, err := NewAuthority(a.Certificate.Subject.Organization[0], now)
	if err != nil {
		return nil, err
	}
	template := *next.Certificate
	if template.SerialNumber, err = newSerial(); err != nil {
		return nil, err
	}
	if template.NotAfter.After(a.Certificate.NotAfter) {
		template.NotAfter = a.Certificate.NotAfter
	}
	template.AuthorityKeyId = nil // it is the signer's
	der, err := x509.CreateCertificate(rand.Reader, &template, a.Certificate, next.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	next.Crosses = string(encode("CERTIFICATE", der))
	rest := []byte(a.Crosses)
	for range maxCrosses - 1 {
		block, left := pem.Decode(rest)
		if block == nil {
			break
		}
		next.Crosses, rest = next.Crosses+string(pem.EncodeToMemory(block)), left
	}
	return next, nil
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
}

// ParseAuthority reads what PEM returned.
func ParseAuthority(certificate, key string) (*Authority, error) {
	cert, err := ParseCertificate([]byte(certificate))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(key))
	if block == nil || block.Type != "EC PRIVATE KEY" {
		return nil, errors.New("authority: no key")
	}
	k, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if !k.PublicKey.Equal(cert.PublicKey) || !cert.IsCA {
		return nil, errors.New("authority: key and certificate do not belong together")
	}
	return &Authority{Certificate: cert, key: k}, nil
}

// PEM returns the authority's certificate and its key.
func (a *Authority) PEM() (certificate, key string) {
	der, _ := x509.MarshalECPrivateKey(a.key) // cannot fail for a named curve
	return string(encode("CERTIFICATE", a.Certificate.Raw)), string(encode("EC PRIVATE KEY", der))
}

// Fingerprint identifies the authority in tokens.
func (a *Authority) Fingerprint() [32]byte { return sha256.Sum256(a.Certificate.Raw) }

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// ParseCertificate reads the first certificate of a PEM file.
func ParseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Request is what a node asks a certificate with: its key stays with it.
type Request struct {
	key *ecdsa.PrivateKey
}

// NewRequest makes a key.
func NewRequest() (*Request, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Request{key}, err
}

// KeyPEM returns the key.
func (r *Request) KeyPEM() []byte {
	der, _ := x509.MarshalECPrivateKey(r.key)
	return encode("EC PRIVATE KEY", der)
}

// DER returns the request for a node that is reached at hosts (names or addresses).
func (r *Request) DER(node string, hosts []string) ([]byte, error) {
	t := &x509.CertificateRequest{Subject: pkix.Name{CommonName: node}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return x509.CreateCertificateRequest(rand.Reader, t, r.key)
}

// maxHosts bounds the names and addresses of a certificate.
const maxHosts = 64

// Issue returns the certificate that a request asks for, PEM, and behind it what leads from earlier authorities to
// this one, and the authority's own, for those who know only its fingerprint. The node's name is the caller's to decide: what the request
// says must be the same.
func (a *Authority) Issue(request []byte, node string, now time.Time) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if csr.Subject.CommonName != node || len(csr.DNSNames)+len(csr.IPAddresses) > maxHosts {
		return nil, fmt.Errorf("certificate request for %.80q: not what was agreed", csr.Subject.CommonName)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	end := now.Add(CertificateLife)
	if end.After(a.Certificate.NotAfter) {
		end = a.Certificate.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: node, Organization: a.Certificate.Subject.Organization},
		NotBefore: now.Add(-backdate), NotAfter: end, DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	chain := append(encode("CERTIFICATE", der), a.Crosses...)
	return append(chain, encode("CERTIFICATE", a.Certificate.Raw)...), nil
}

// Due reports whether a certificate should be replaced: half of its time is over.
func Due(cert *x509.Certificate, now time.Time) bool {
	return now.After(cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 2))
}
