package gatewaytest_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks"
	"causeway/backend/blocks/device"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/gatewaytest"
)

// TestBlocksSimulation lets gateways write, sync, cut and read files on blocks while owners die, holders die, recalls are
// lost, and gateways stop at the door of the device for longer than their leases; what happens is drawn by a seed.
//
// Every eight bytes that are written tell file, range and write. So a byte of another file is found wherever it appears, and
// in the end each range must hold a write that did not end before a committed one began: a committed one was not lost, and
// none that was refused came late. Then each block is one file's or free.
//
// BLOCKS_SEEDS says how many seeds. They mostly wait: many can run at once (-parallel).
func TestBlocksSimulation(t *testing.T) {
	seeds := 4
	if n, err := strconv.Atoi(os.Getenv("BLOCKS_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			simulate(t, uint64(seed))
		})
	}
}

const (
	simFiles  = 3
	simRanges = 3
	simLength = 6000 // of a range, which shares blocks with its neighbours
	simLease  = 100 * time.Millisecond
)

// simulation is a site, and what was done to it.
type simulation struct {
	*site
	files []causeway.Handle

	mu     sync.Mutex
	random *rand.Rand
	alive  []*machine
	epoch  uint64
	writes []simWrite // by their numbers
}

// simWrite is a write of a range, or a cut of the file to nothing.
type simWrite struct {
	file, part  int
	call, back  time.Time
	cut, synced bool
}

func simulate(t *testing.T, seed uint64) {
	d := device.New(4096, 1<<10)
	s := &simulation{random: rand.New(rand.NewPCG(seed, 1)), epoch: 1}
	s.site = split(t, 5, true, simLease, func(i int) backend.Store {
		store, err := blocks.Open(t.Context(), blocks.Config{
			Device: &slowDevice{d, s}, Volume: 42, Node: fmt.Sprint("g", i), Mode: 0o777, LogBlocks: 40,
		})
		if err == nil && i == 0 {
			err = store.Own(t.Context(), causeway.Epoch{Revision: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
	for _, m := range s.gateways {
		m.jitter = 3 * time.Millisecond
	}
	for i := range simFiles {
		s.files = append(s.files, s.gateways[0].create(fmt.Sprint("f", i)))
	}
	if err := s.gateways[0].store.Persist(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.alive = s.gateways[1:]
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			for range 60 {
				s.step()
			}
		})
	}
	stop := make(chan struct{})
	var chaos sync.WaitGroup
	chaos.Go(func() { s.chaos(stop) })
	clients.Wait()
	close(stop)
	chaos.Wait()
	s.finish()
}

// draw returns a number below n. Clients and chaos share one sequence.
func (s *simulation) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// slowDevice holds some writes up on their way.
type slowDevice struct {
	device.Storage
	s *simulation
}

func (d *slowDevice) Write(ctx context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error {
	if d.s.draw(20) == 0 {
		time.Sleep(time.Duration(d.s.draw(3 * int(simLease))))
	}
	return d.Storage.Write(ctx, v, t, off, p)
}

func (s *simulation) machine() *machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive[s.random.IntN(len(s.alive))]
}

// step is one thing that a client does.
func (s *simulation) step() {
	m, file, part := s.machine(), s.draw(simFiles), s.draw(simRanges)
	ctx, cancel := context.WithTimeout(context.Background(), 20*simLease)
	defer cancel()
	switch s.draw(10) {
	case 0:
		n := s.begin(simWrite{file: file, cut: true})
		_, _ = m.access.SetAttr(ctx, gatewaytest.Root(), s.files[file], &causeway.SetAttr{Mask: causeway.SetSize}, nil)
		s.end(n, false) // the volume acknowledges changes of attributes before they are stable
	case 1, 2, 3, 4:
		s.read(ctx, m, file, part)
	default:
		s.write(ctx, m, file, part)
	}
	time.Sleep(time.Duration(s.draw(int(simLease / 20))))
}

func (s *simulation) write(ctx context.Context, m *machine, file, part int) {
	n := s.begin(simWrite{file: file, part: part})
	data := make([]byte, simLength)
	for i := 0; i < len(data); i += 8 {
		binary.BigEndian.PutUint64(data[i:], stamp(file, part, n))
	}
	c, h := gatewaytest.Root(), s.files[file]
	r, err := m.moves.Write(ctx, c, h, uint64(part*simLength), data, causeway.Stability(s.draw(2)))
	s.end(n, err == nil && r.Stable != causeway.Unstable)
	if err != nil || s.draw(2) == 0 {
		return
	}
	time.Sleep(time.Duration(s.draw(int(simLease))))
	if synced, err := m.moves.Sync(ctx, c, h, causeway.Span{}); err == nil && synced.Verifier == r.Verifier {
		s.mu.Lock()
		s.writes[n].synced = true
		s.mu.Unlock()
	}
}

func stamp(file, part, n int) uint64 { return uint64(file+1)<<48 | uint64(part+1)<<32 | uint64(n+1) }

func (s *simulation) begin(w simWrite) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.call = time.Now()
	s.writes = append(s.writes, w)
	return len(s.writes) - 1
}

func (s *simulation) end(n int, synced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes[n].back, s.writes[n].synced = time.Now(), synced
}

// read checks that all of a range is of its own writes.
func (s *simulation) read(ctx context.Context, m *machine, file, part int) (stamps []uint64) {
	data := make([]byte, simLength)
	r, err := m.moves.Read(ctx, gatewaytest.Root(), s.files[file], uint64(part*simLength), data)
	if err != nil {
		s.Logf("read file %d range %d through %s: %v", file, part, m.name, err)
		return nil
	}
	clear(data[r.N:])
	for i := 0; i < len(data); i += 8 {
		got := binary.BigEndian.Uint64(data[i:])
		if got != 0 && got>>32 != stamp(file, part, 0)>>32 {
			s.Errorf("file %d range %d at %d holds %x, through %s", file, part, i, got, m.name)
			return nil
		}
		if len(stamps) == 0 || stamps[len(stamps)-1] != got {
			stamps = append(stamps, got)
		}
	}
	return stamps
}

// chaos stops gateways for a while or for ever, and lets another one take the volume over.
func (s *simulation) chaos(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(s.draw(int(2 * simLease)))):
		}
		m := s.machine()
		switch s.draw(6) {
		case 0:
			s.takeOver(m)
		case 1:
			s.mu.Lock()
			if len(s.alive) > 3 && s.owner.Load() != m.owner {
				m.pause()
				for i, x := range s.alive {
					if x == m {
						s.alive = append(append([]*machine(nil), s.alive[:i]...), s.alive[i+1:]...)
					}
				}
			}
			s.mu.Unlock()
		default:
			m.pause()
			time.Sleep(time.Duration(s.draw(int(3 * simLease))))
			m.resume()
		}
	}
}

// takeOver makes a gateway the owner, as after the death of the last one. Those that do not answer are not asked: they are not members any
// more, and cut off before they are asked anything again.
func (s *simulation) takeOver(to *machine) {
	s.epoch++
	epoch := causeway.Epoch{Revision: s.epoch}
	if err := to.store.(*blocks.Store).Own(context.Background(), epoch); err != nil {
		s.Error("the journal cannot be taken over:", err)
		return
	}
	next := access.New(access.Config{Node: to.name, Holder: to.near, Holders: s, Lease: s.lease, Quiet: s.quiet})
	next.AttachAt(s.volume, to.store, epoch)
	for _, m := range s.gateways[1:] {
		m.mu.Lock()
		paused := m.paused != nil
		m.mu.Unlock()
		if paused {
			m.missed = true
			continue
		}
		if m.missed {
			m.missed = false
			m.moves.CutOff()
			m.near.Drop(s.volume.ID)
		}
		held, err := m.near.Reassert(context.Background(), s.volume.ID, epoch)
		if err == nil {
			_, _ = next.AssertGrants(m.name, epoch, held)
		}
	}
	last := s.owner.Swap(next)
	to.owner = next
	last.Detach(s.volume.ID)
	for _, m := range s.gateways {
		if m != to && m.owner != nil {
			m.store.(*blocks.Store).Leave()
		}
	}
	s.Cleanup(next.Wait)
}

// finish waits until all is at rest, and checks what the files hold.
func (s *simulation) finish() {
	s.mu.Lock()
	owner := s.alive[0]
	s.mu.Unlock()
	for _, m := range s.gateways {
		m.resume()
	}
	s.takeOver(owner)
	time.Sleep(5 * simLease)
	for file := range simFiles {
		for part := range simRanges {
			stamps := s.read(context.Background(), owner, file, part)
			for end := time.Now().Add(30 * time.Second); len(stamps) == 0 && time.Now().Before(end); { // "try later" is an answer
				time.Sleep(simLease)
				stamps = s.read(context.Background(), owner, file, part)
			}
			if len(stamps) == 0 {
				s.Errorf("file %d range %d cannot be read", file, part)
			}
			for _, got := range stamps {
				s.judge(file, part, got)
			}
		}
	}
	s.atRest(owner)
	synced := 0
	for _, w := range s.writes {
		if w.synced {
			synced++
		}
	}
	if s.Logf("%d writes and cuts, %d committed, %d owners, %d grants, %d recalls", len(s.writes), synced, s.epoch, s.grants.Load(), s.recalls.Load()); synced == 0 {
		s.Error("nothing was ever committed")
	}
}

// judge refuses what a range holds in the end if something else was committed after it had ended.
func (s *simulation) judge(file, part int, got uint64) {
	held := simWrite{} // nothing was ever written
	if n := int(uint32(got)); n > 0 {
		held = s.writes[n-1]
	}
	for _, w := range s.writes {
		if w.file != file || !w.cut && w.part != part {
			continue
		}
		if got == 0 && w.cut && held.back.Before(w.back) {
			held = w // the latest cut explains zeros best
		}
	}
	for i, w := range s.writes {
		if w.file == file && w.part == part && !w.cut && w.synced && held.back.Before(w.call) {
			s.Errorf("file %d range %d holds %x, which ended before the committed write %d began", file, part, got, i+1)
		}
	}
}

var _ gateway.Holders = (*simulation)(nil)
