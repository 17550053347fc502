package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Oldest is the oldest server that is trusted, per minor version of etcd 3: these are the first releases after a server that
// was paused was cured of answering reads with what was true before the pause (etcd issue 20418).
var Oldest = map[int]int{5: 29, 6: 10, 7: 0}

// Connect returns a client of the servers, and refuses servers that are too old. It fails if none answers now.
func Connect(ctx context.Context, endpoints []string, tls *tls.Config, log *slog.Logger) (*clientv3.Client, error) {
	c, err := Dial(endpoints, tls, log)
	if err != nil {
		return nil, err
	}
	if err := checkVersions(ctx, c, endpoints, tls); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Dial returns a client of the servers, which it has not yet reached.
func Dial(endpoints []string, tls *tls.Config, log *slog.Logger) (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, TLS: tls, Logger: zapTo(log, new(atomic.Bool)),
		DialTimeout: 2 * time.Second, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: time.Second, // also for what was sent and is not acknowledged
	})
	if err != nil {
		return nil, fmt.Errorf("configuration database: %w", err)
	}
	return c, nil
}

// CheckEndpoints fails for an address of a server (a URL) that cannot be, or that would carry the cluster's keys over a network in the
// clear: without TLS a server must be on this machine.
func CheckEndpoints(endpoints []string, tls bool) error {
	for _, e := range endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("configuration database: %q is not https://HOST:PORT", e)
		}
		ip, _ := netip.ParseAddr(u.Hostname())
		switch local := ip.IsLoopback() || u.Hostname() == "localhost"; {
		case u.Scheme == "http" && !local:
			return fmt.Errorf("configuration database: %s has no TLS: the cluster's keys lie in it, so without TLS it must be on this machine", e)
		case u.Scheme == "https" && !tls:
			return fmt.Errorf("configuration database: %s needs certificates", e)
		}
	}
	return nil
}

// checkVersions fails if a server is too old, or if none answers.
func checkVersions(ctx context.Context, c *clientv3.Client, endpoints []string, config *tls.Config) error {
	var last error
	answered := 0
	for _, e := range endpoints {
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		status, err := c.Status(one, e)
		cancel()
		if err != nil {
			last = err
			continue
		}
		if err := CheckVersion(status.Version); err != nil {
			return fmt.Errorf("configuration database at %s: %w", e, err)
		}
		answered++
	}
	if answered == 0 {
		for _, e := range endpoints {
			last = errors.Join(last, handshake(ctx, e, config))
		}
		return fmt.Errorf("configuration database: none of %s answers: %w", strings.Join(endpoints, ", "), last)
	}
	return nil
}

// handshake finds out why a server does not answer, as far as TLS knows: the client of etcd only says that it took too long.
func handshake(ctx context.Context, endpoint string, config *tls.Config) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // a server refuses a certificate after the handshake
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// CheckVersion fails for a version of etcd that is too old or cannot be read.
func CheckVersion(v string) error {
	parts := strings.Split(strings.SplitN(v, "-", 2)[0], ".")
	var n [3]int
	if len(parts) != 3 {
		return fmt.Errorf("etcd %q: no version", v)
	}
	for i, p := range parts {
		var err error
		if n[i], err = strconv.Atoi(p); err != nil {
			return fmt.Errorf("etcd %q: no version", v)
		}
	}
	patch, known := Oldest[n[1]]
	newer := n[0] > 3 || n[0] == 3 && n[1] > 7
	if newer || n[0] == 3 && known && n[2] >= patch {
		return nil
	}
	return fmt.Errorf("etcd %s is too old: 3.5.%d, 3.6.%d or 3.7 at least, for reads that are never stale", v, Oldest[5], Oldest[6])
}
