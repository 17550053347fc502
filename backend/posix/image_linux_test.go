package posix

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// image is a file system in a file.
type image struct {
	file   string
	dir    string // where it is mounted
	device string
}

// newImage makes an ext4 file system of some MiB and mounts it, or skips the test where that cannot be done.
func newImage(t testing.TB, mebibytes int64, features, options string) *image {
	t.Helper()
	needRoot(t)
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, mebibytes<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-O", features, "-E", "lazy_itable_init=0,lazy_journal_init=0", file).CombinedOutput(); err != nil {
		t.Skipf("no mkfs.ext4 here: %v: %s", err, out)
	}
	return mountImage(t, file, options)
}

func mountImage(t testing.TB, file, options string) *image {
	t.Helper()
	im := &image{file: file, dir: t.TempDir()}
	if out, err := exec.Command("mount", "-o", "loop"+options, file, im.dir).CombinedOutput(); err != nil {
		t.Skipf("cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { im.unmount(t) })
	var st unix.Stat_t
	if err := unix.Stat(im.dir, &st); err != nil {
		t.Fatal(err)
	}
	target, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		t.Skip(err)
	}
	im.device = "/dev/" + filepath.Base(target)
	return im
}

// unmount waits for whoever still has something open there.
func (im *image) unmount(t testing.TB) {
	if im.dir == "" {
		return
	}
	var out []byte
	var err error
	for range 50 {
		if out, err = exec.Command("umount", im.dir).CombinedOutput(); err == nil {
			im.dir = ""
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("umount: %v: %s", err, out)
}

// openImage opens a store on the image that is closed before the image is unmounted.
func openImage(t testing.TB, im *image, cfg Config) *Store {
	return open(t, im.dir, cfg) // its cleanup runs before the image's
}

// userFile makes a file of an ordinary user and opens it.
func userFile(t testing.TB, s *Store, name string) (causeway.ObjectID, backend.Object) {
	t.Helper()
	id, _, err := s.Create(context.Background(), s.Root(), name, &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o600, UID: 1000, GID: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return id, must[backend.Object](t)(s.Open(context.Background(), id, causeway.IOReadWrite, nil))
}

// fillFile writes until it fails, and returns how many bytes fitted and why there were no more.
func fillFile(o backend.Object, limit uint64) (done uint64, err error) {
	block := make([]byte, 64<<10)
	for done < limit {
		n, err := o.WriteAt(context.Background(), block, done)
		done += uint64(n)
		if err != nil {
			return done, err
		}
	}
	return done, o.Sync(context.Background(), false)
}

// TestFullVolume fills a small file system: the code says so, nothing else breaks, and what is removed can be used again, also
// if another program removes it.
func TestFullVolume(t *testing.T) {
	ctx := context.Background()
	im := newImage(t, 16, "^has_journal", "")
	s := openImage(t, im, Config{})
	_, o := userFile(t, s, "big")
	wrote, err := fillFile(o, 64<<20)
	wantCode(t, err, causeway.ErrNoSpc)
	if wrote < 4<<20 {
		t.Fatalf("full after %d bytes", wrote)
	}
	if err := o.Sync(ctx, false); err != nil {
		t.Fatal(err)
	}
	o.Close()
	small, o := userFile(t, s, "small") // an inode is free still
	_, err = fillFile(o, 1<<20)
	wantCode(t, err, causeway.ErrNoSpc)
	if attr := must[causeway.Attr](t)(s.Stat(ctx, small)); attr.Size != 0 {
		t.Fatalf("%+v", attr)
	}
	if err := s.Remove(ctx, s.Root(), "big", false); err != nil {
		t.Fatal(err)
	}
	wrote, err = fillFile(o, 4<<20)
	if err != nil {
		t.Fatalf("after %d bytes in freed space: %v", wrote, err)
	}
	o.Close()

	// Now another program removes it, while its descriptor is in the cache.
	before := must[causeway.FSStat](t)(s.StatFS(ctx))
	if err := os.Remove(filepath.Join(im.dir, "small")); err != nil {
		t.Fatal(err)
	}
	s.dropDeleted()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if now := must[causeway.FSStat](t)(s.StatFS(ctx)); now.FreeBytes >= before.FreeBytes+4<<20 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the space of a file that another program removed is not free")
		}
	}
	for i := range 100_000 {
		_, _, err := s.Create(ctx, s.Root(), fmt.Sprint("inode", i), &backend.CreateSpec{Type: causeway.TypeRegular, UID: 1000, GID: 1000})
		if err != nil {
			wantCode(t, err, causeway.ErrNoSpc)
			return
		}
	}
	t.Fatal("inodes without end")
}

// diskQuota is struct if_dqblk of linux/quota.h.
type diskQuota struct {
	hardBlocks, softBlocks, space, hardInodes, softInodes, inodes, graceBlocks, graceInodes uint64
	valid                                                                                   uint32
	_                                                                                       uint32
}

// TestQuota gives an ordinary user a quota that the store's privileges must not bypass.
func TestQuota(t *testing.T) {
	if hasCap(unix.CAP_SYS_RESOURCE) {
		t.Skip("this process has CAP_SYS_RESOURCE, which bypasses quotas")
	}
	ctx := context.Background()
	im := newImage(t, 32, "quota", ",usrquota")
	const (
		setQuota    = 0x800008 << 8 // QCMD(Q_SETQUOTA, USRQUOTA)
		limitBlocks = 1 << 10       // of 1 KiB
		limitInodes = 5
		validLimits = 1 | 4 // QIF_BLIMITS, QIF_ILIMITS
	)
	device, _ := unix.BytePtrFromString(im.device)
	limits := diskQuota{hardBlocks: limitBlocks, hardInodes: limitInodes, valid: validLimits}
	if _, _, e := unix.Syscall6(unix.SYS_QUOTACTL, setQuota, uintptr(unsafe.Pointer(device)), 1000, uintptr(unsafe.Pointer(&limits)), 0, 0); e != 0 {
		t.Skipf("no quotas here: %v", e)
	}
	s := openImage(t, im, Config{})
	_, o := userFile(t, s, "f")
	wrote, err := fillFile(o, 8<<20)
	wantCode(t, err, causeway.ErrDQuot)
	if wrote > limitBlocks<<10 {
		t.Fatalf("%d bytes in a quota of %d", wrote, limitBlocks<<10)
	}
	o.Close()
	for i := range limitInodes {
		_, _, err = s.Create(ctx, s.Root(), fmt.Sprint(i), &backend.CreateSpec{Type: causeway.TypeDirectory, Mode: 0o700, UID: 1000, GID: 1000})
	}
	wantCode(t, err, causeway.ErrDQuot)
	mk(t, s, s.Root(), "of another user", causeway.TypeRegular)
	if err := s.Remove(ctx, s.Root(), "f", false); err != nil {
		t.Fatal(err)
	}
	_, o = userFile(t, s, "g")
	defer o.Close()
	if _, err := fillFile(o, limitBlocks<<9); err != nil {
		t.Fatal("after the quota was freed: ", err)
	}
}
