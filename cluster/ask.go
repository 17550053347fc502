package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"causeway/cluster/record"
)

// maxAnswer bounds what a gateway's answer to another one may hold, in bytes.
const maxAnswer = 64 << 20

// Ask sends a question to another gateway's [Config.Asked], and reads the answer into out unless that is nil; both are JSON.
func (c *Cluster) Ask(ctx context.Context, node, path string, in, out any) error {
	item := c.Table().Get(record.Named(record.KindMember, node))
	if item == nil || item.Value.(*record.Member).Peer == "" {
		return fmt.Errorf("gateway %s does not run", node)
	}
	if c.identity == nil {
		return errors.New("this gateway has no certificate of the cluster")
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+item.Value.(*record.Member).Peer+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, text, err := c.exchange(req, maxAnswer)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("gateway %s is of an older version, which does not know the question", node)
	case resp.StatusCode != http.StatusOK:
		return errors.New(string(bytes.TrimSpace(text)))
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// exchange sends a request to another gateway, both known by their certificates, and reads the answer, as far as so many bytes.
func (c *Cluster) exchange(req *http.Request, most int64) (*http.Response, []byte, error) {
	transport := &http.Transport{TLSClientConfig: c.identity.Client(), DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return resp, text, err
}

// members lets gateways of the cluster ask, and nobody else.
func (c *Cluster) members(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.knows(r.TLS) {
			http.Error(w, "this is for gateways of the cluster", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxLetter)
		h.ServeHTTP(w, r)
	})
}
