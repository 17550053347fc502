package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Identity is a node's certificate and the authorities it trusts, in a directory. It can be replaced while it is used.
type Identity struct {
	dir string
	now atomic.Pointer[identity]
}

type identity struct {
	cert  tls.Certificate
	roots *x509.CertPool
}

// The files of an identity.
const (
	pairFile      = "node.pem" // certificate and key: one file, so that a crash leaves the old pair or the new one
	authorityFile = "ca.pem"
)

// Store writes an identity into dir, which it makes, and opens it.
func Store(dir string, certificate, key, authorities []byte) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	pair := append(append([]byte(nil), certificate...), key...)
	for _, f := range []struct {
		name string
		data []byte
	}{{authorityFile, authorities}, {pairFile, pair}} {
		if err := Replace(filepath.Join(dir, f.name), f.data); err != nil {
			return nil, err
		}
	}
	return Open(dir)
}

// Replace writes a file that only its owner reads, and returns when it is on stable storage: a crash leaves the old one or the new one. What
// a crash leaves of the new one beside it the next call takes. One call at a time for a path.
func Replace(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open reads an identity. It returns an error that wraps os.ErrNotExist if there is none.
func Open(dir string) (*Identity, error) {
	i := &Identity{dir: dir}
	if err := i.Reload(); err != nil {
		return nil, err
	}
	return i, nil
}

// Reload reads the files again. After an error the identity stays as it was.
func (i *Identity) Reload() error {
	pair, err := os.ReadFile(i.PairFile())
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		return fmt.Errorf("%s: %w", i.PairFile(), err)
	}
	data, err := os.ReadFile(i.AuthorityFile())
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return fmt.Errorf("%s: no certificate", i.AuthorityFile())
	}
	i.now.Store(&identity{cert, roots})
	return nil
}

// PairFile returns the path of the file that holds certificate and key.
func (i *Identity) PairFile() string { return filepath.Join(i.dir, pairFile) }

// AuthorityFile returns the path of the authorities' certificates.
func (i *Identity) AuthorityFile() string { return filepath.Join(i.dir, authorityFile) }

// Certificate returns the certificate.
func (i *Identity) Certificate() *x509.Certificate { return i.now.Load().cert.Leaf }

// Due reports whether the certificate should be replaced.
func (i *Identity) Due(now time.Time) bool { return Due(i.Certificate(), now) }

// Client returns the configuration of a client that talks to nodes of the cluster.
func (i *Identity) Client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: i.now.Load().roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &i.now.Load().cert, nil },
	}
}

// Server returns the configuration of a server that takes nodes of the cluster only, by what is trusted at each handshake.
func (i *Identity) Server() *tls.Config { return i.server(tls.RequireAndVerifyClientCert) }

// Door returns the configuration of a server that joiners reach too: who shows a certificate shows one of the cluster.
func (i *Identity) Door() *tls.Config { return i.server(tls.VerifyClientCertIfGiven) }

func (i *Identity) server(auth tls.ClientAuthType) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := i.now.Load()
		return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{now.cert}, ClientCAs: now.roots, ClientAuth: auth}, nil
	}}
}
