package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// external is a configuration database that others run.
type external struct {
	endpoints         []string
	cacert, cert, key string
}

func (e *external) register(set *pflag.FlagSet) {
	set.StringSliceVar(&e.endpoints, "etcd", nil, "servers of an etcd that others run, instead of the one in the gateways: https://HOST:2379,...")
	set.StringVar(&e.cacert, "etcd-cacert", "", "PEM file of who signs the certificates of these servers (default: the system's)")
	set.StringVar(&e.cert, "etcd-cert", "", "PEM file of the certificate that they ask for")
	set.StringVar(&e.key, "etcd-key", "", "PEM file of its key")
}

// validate names the flag at fault.
func (e *external) validate() error {
	switch {
	case len(e.endpoints) == 0 && (e.cacert != "" || e.cert != "" || e.key != ""):
		return errors.New("--etcd-cacert, --etcd-cert and --etcd-key are for --etcd")
	case (e.cert == "") != (e.key == ""):
		return errors.New("--etcd-cert and --etcd-key go together")
	}
	for i, text := range e.endpoints {
		e.endpoints[i] = strings.TrimRight(strings.TrimSpace(text), "/")
	}
	return nil
}

// tls is how the servers are spoken to; nil if all of them are without TLS, which is for this machine only. Certificates are read again
// at each handshake, so that they can be replaced.
func (e *external) tls() (*tls.Config, error) {
	if !strings.Contains(strings.Join(e.endpoints, ","), "https://") {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.cacert != "" {
		text, err := os.ReadFile(e.cacert)
		if err != nil {
			return nil, fmt.Errorf("--etcd-cacert: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--etcd-cacert: %s holds no certificate", e.cacert)
		}
	}
	if e.cert == "" {
		return c, nil
	}
	if _, err := tls.LoadX509KeyPair(e.cert, e.key); err != nil {
		return nil, fmt.Errorf("--etcd-cert: %w", err)
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(e.cert, e.key)
		return &pair, err
	}
	return c, nil
}
