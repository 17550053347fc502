package aware_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/aware"
)

type accessUnder = gateway.Access

// slowLocks holds up those who wait for a lock, on their way to where locks are managed.
type slowLocks struct {
	accessUnder
	come, pass chan struct{}
}

func (s *slowLocks) Lock(ctx context.Context, c *gateway.Caller, h causeway.Handle, l gateway.LockSpec) (gateway.Lock, error) {
	if l.Wait {
		s.come <- struct{}{}
		<-s.pass
	}
	return s.accessUnder.Lock(context.WithoutCancel(ctx), c, h, l)
}

// lockUser asks about locks of one file.
type lockUser struct {
	t      *testing.T
	f      clientpb.FilesClient
	handle []byte
}

func (u *lockUser) request(owner, number uint64, waitMs uint32) *clientpb.LockRequest {
	return &clientpb.LockRequest{Caller: me(1000), Handle: u.handle, Owner: owner, Length: 10, Exclusive: true, Number: number, WaitMs: waitMs}
}

func (u *lockUser) lock(ctx context.Context, owner, number uint64, waitMs uint32) error {
	r, err := u.f.Lock(ctx, u.request(owner, number, waitMs))
	if err != nil {
		return err
	}
	return codeOf(r)
}

func (u *lockUser) unlock(owner, number uint64) error {
	r, err := u.f.Unlock(u.t.Context(), u.request(owner, number, 0))
	if err != nil {
		return err
	}
	return codeOf(r)
}

func codeOf(r *clientpb.LockReply) error {
	if r.Code != 0 {
		return causeway.Code(r.Code)
	}
	return nil
}

func newLockUser(t *testing.T, access gateway.Access) *lockUser {
	t.Helper()
	at, _ := serve(t, func(c *aware.Config, _ *causeway.Volume) { c.Access = access })
	f := connect(t, at, insecure.NewCredentials())
	h := root(t, f)
	r, err := f.Create(t.Context(), &clientpb.Request{Caller: me(1000), Handle: h, Name: []byte("file"), Type: uint32(causeway.TypeRegular), Op: op(1)})
	if err != nil || r.Code != 0 {
		t.Fatal(r, err)
	}
	return &lockUser{t, f, r.Handle}
}

// TestSlotsOfOneAddress: calls that do not come to an end, of one address, leave others their places.
func TestSlotsOfOneAddress(t *testing.T) {
	slow := &slowLocks{come: make(chan struct{}, 64), pass: make(chan struct{})}
	at, _ := serve(t, func(c *aware.Config, _ *causeway.Volume) { c.Access, c.MaxCalls = slow, 4 })
	one, other := from(t, at, net.IPv4(127, 0, 0, 2)), from(t, at, net.IPv4(127, 0, 0, 3))
	u, held := &lockUser{t, one, root(t, one)}, make(chan error, 16)
	for i := range uint64(cap(held)) {
		go func() { held <- u.lock(t.Context(), i+1, 0, 500) }()
	}
	for range 2 {
		<-slow.come
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 20 {
		if r, err := other.GetAttr(ctx, &clientpb.Request{Caller: me(1), Handle: u.handle}); err != nil || r.Code != 0 {
			t.Error("others wait for them:", r, err)
			break
		}
	}
	close(slow.pass)
	for range cap(held) {
		<-held
	}
}

// TestUnlockInTurn: a lock that its client no longer waits for is on its way still when its unlock comes. It is not there afterwards.
func TestUnlockInTurn(t *testing.T) {
	slow := &slowLocks{come: make(chan struct{}), pass: make(chan struct{})}
	u := newLockUser(t, slow)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- u.lock(ctx, 1, 1, 10_000) }()
	<-slow.come
	cancel()
	if err := <-gone; err == nil {
		t.Fatal("it has the lock")
	}
	unlocked := make(chan error, 1)
	go func() { unlocked <- u.unlock(1, 2) }()
	select {
	case err := <-unlocked:
		t.Error("the unlock overtook the lock")
		unlocked <- err
	case <-time.After(100 * time.Millisecond):
	}
	slow.pass <- struct{}{}
	if err := <-unlocked; err != nil {
		t.Error(err)
	}
	if err := u.lock(t.Context(), 2, 1, 0); err != nil {
		t.Error("somebody has it whom nobody knows:", err)
	}
}

// TestLockTooLate: a lock that comes after its unlock is not taken.
func TestLockTooLate(t *testing.T) {
	u := newLockUser(t, nil)
	if err := u.unlock(1, 2); err != nil {
		t.Fatal(err)
	}
	if err := u.lock(t.Context(), 1, 1, 0); !errors.Is(err, causeway.ErrInval) {
		t.Error(err)
	}
	for _, number := range []uint64{3, 3, 4} { // one is repeated
		if err := u.lock(t.Context(), 2, number, 0); err != nil {
			t.Error(err)
		}
	}
}

// TestUnlockEndsWait: who unlocks does not wait any longer.
func TestUnlockEndsWait(t *testing.T) {
	slow := &slowLocks{come: make(chan struct{}), pass: make(chan struct{}, 1)}
	u := newLockUser(t, slow)
	if err := u.lock(t.Context(), 2, 1, 0); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- u.lock(t.Context(), 1, 1, 30_000) }()
	slow.pass <- <-slow.come
	if err := u.unlock(1, 2); err != nil {
		t.Error(err)
	}
	if err := <-waited; !errors.Is(err, causeway.ErrBlocked) {
		t.Error(err)
	}
	if err := u.unlock(2, 2); err != nil {
		t.Error(err)
	}
	if err := u.lock(t.Context(), 3, 1, 0); err != nil {
		t.Error("somebody has it who does not wait:", err)
	}
}
