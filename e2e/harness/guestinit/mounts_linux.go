package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"causeway/e2e/harness/wire"
)

type mountPoint struct{ source, target, kind, data string }

// mountAll lays writable memory over the places of the host's root that programs write to, and the host's directories that
// the test shares.
func mountAll(config *wire.Config) error {
	points := []mountPoint{
		{"sys", "/sys", "sysfs", ""},
		{"dev", "/dev", "devtmpfs", ""},
		{"devpts", "/dev/pts", "devpts", "ptmxmode=0666"},
		{"shm", "/dev/shm", "tmpfs", "mode=1777"},
		{"tmp", "/tmp", "tmpfs", "mode=1777"},
		{"tmp", "/var/tmp", "tmpfs", "mode=1777"},
		{"run", "/run", "tmpfs", "mode=0755"},
		{"mnt", "/mnt", "tmpfs", "mode=0755"},
		{"state", "/var/lib/nfs", "hostfs", config.StateDir},
	}
	for target, source := range config.Shared {
		points = append(points, mountPoint{"shared", target, "hostfs", source})
	}
	for _, p := range points {
		if err := os.MkdirAll(p.target, 0o755); err != nil {
			return err
		}
		// The kernel may have mounted its device file system already.
		if err := unix.Mount(p.source, p.target, p.kind, 0, p.data); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s on %s: %w", p.kind, p.target, err)
		}
	}
	return prepare(config)
}

// prepare makes the directories and files that the clients' helpers expect.
func prepare(config *wire.Config) error {
	for _, dir := range []string{"/run/lock", "/run/rpcbind", "/run/sendsigs.omit.d", "/var/lib/nfs/sm", "/var/lib/nfs/sm.bak"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := prepareModules(); err != nil {
		return err
	}
	// No name server answers in a guest, and waiting for one costs ten seconds per name.
	files := map[string]string{
		"hosts":         "127.0.0.1 localhost\n" + config.Hosts,
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\nrpc: files\n",
	}
	for name, text := range files {
		if err := replace(name, text); err != nil {
			return err
		}
	}
	return nil
}

// replace lays a file over one of /etc.
func replace(name, text string) error {
	file := filepath.Join("/run", name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(file, filepath.Join("/etc", name), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("replace /etc/%s: %w", name, err)
	}
	return nil
}

// prepareModules lets the kernel find its modules beside those of the host, whose place may not exist.
func prepareModules() error {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return err
	}
	release := unix.ByteSliceToString(kernel.Release[:])
	if err := os.MkdirAll("/run/modules/lib/modules", 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join("/usr/lib/uml/modules", release), filepath.Join("/run/modules/lib/modules", release)); err != nil {
		return err
	}
	loader := "#!/bin/sh\nexec /sbin/modprobe -d /run/modules \"$@\"\n"
	if err := os.WriteFile("/run/modprobe", []byte(loader), 0o755); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/kernel/modprobe", []byte("/run/modprobe"), 0)
}
