package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// profileTime is how long a workload is profiled.
const profileTime = 5 * time.Second

// profiles takes a CPU profile of every workload on every causeway, apart from the measurements, which it would disturb.
func (o *options) profiles(ctx context.Context, f *fleet, workloads []workload.Workload) error {
	if o.profile == "" {
		return nil
	}
	if err := os.MkdirAll(o.profile, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, m := range f.members {
		if m.server.Admin == "" {
			continue
		}
		for _, w := range workloads {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := o.profileOne(ctx, f, m, w); err != nil {
				errs = append(errs, fmt.Errorf("profile of %s on %s: %w", w.FullName(), m.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (o *options) profileOne(ctx context.Context, f *fleet, m *member, w workload.Workload) error {
	name := filepath.Join(o.profile, w.FullName()+"-"+m.name+".pprof")
	w.Shape.Count *= 4 // a run that ends by itself should fill the profile better
	done := make(chan error, 1)
	go func() { done <- fetchProfile(ctx, m.server, name) }()
	p := plan{duration: profileTime, threads: o.threads}
	_, err := measureOne(ctx, f, m, w, p, 0)
	return errors.Join(err, <-done)
}

// fetchProfile writes a server's CPU profile of profileTime to a file.
func fetchProfile(ctx context.Context, server *peer.Server, name string) error {
	url := fmt.Sprintf("http://admin/debug/pprof/profile?seconds=%d", int(profileTime.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := server.HTTP().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}
