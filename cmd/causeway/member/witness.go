package member

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// A volume's marker goes along when its directory is copied, so it cannot tell the volume from a copy on another file system. So
// whoever administers a volume writes into it which gateways are there, each with a number that it has chosen when it joined; and
// who is to administer it next must find its own number, which no older copy can contain.

// witnessFile is beside the marker.
const witnessFile = ".causeway/gateways.json"

// witnessBlock is what the file's size is a multiple of: it is overwritten in place, so that a full volume does not keep it from
// being written.
const witnessBlock = 4 << 10

// maxWitness bounds what is read of the file, in bytes.
const maxWitness = 1 << 20

// witness is what the file holds.
type witness struct {
	Format   int                `json:"format"`
	Life     uint64             `json:"life,omitempty"` // incarnation of the configuration database; 0: the first
	Gateways map[string]sighted `json:"gateways"`       // by instance: that is, by state directory
}

type sighted struct {
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
}

// readWitness returns what the file says, nil if there is none.
func readWitness(dir string) (*witness, error) {
	path := filepath.Join(dir, witnessFile)
	f, err := openWitness(dir, unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	forgetPages(f)
	text, err := io.ReadAll(io.LimitReader(f, maxWitness+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxWitness {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxWitness)
	}
	w := &witness{}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(w); err != nil { // behind it may stand the rest of a longer one
		return nil, fmt.Errorf("%s: %w: %w", path, errTorn, err)
	}
	if w.Format != 1 {
		return nil, fmt.Errorf("%s: format %d, this version reads 1", path, w.Format)
	}
	return w, nil
}

// errTorn says that the file is being written, or that whoever wrote it ended in the middle.
var errTorn = errors.New("half written")

// openWitness opens the file itself. Who owns the volume's root can put anything in its place: this process, which may do everything,
// must neither follow a link to a file of the machine nor wait at a pipe.
func openWitness(dir string, flags int) (*os.File, error) {
	path := filepath.Join(dir, witnessFile)
	fail := func(err error) (*os.File, error) { return nil, &os.PathError{Op: "open", Path: path, Err: err} }
	place, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(place)
	fd, err := unix.Openat(place, filepath.Base(path), flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 1 {
		return fail(errors.Join(errors.New("it is not a file of its own"), err, f.Close()))
	}
	return f, nil
}

// lifeOf is how often the configuration database was restored, and one.
func lifeOf(t *record.Table) uint64 {
	if c := t.Cluster(); c != nil {
		return max(1, c.Incarnation)
	}
	return 1
}

// of returns the witness if it is of this life of the database. No gateway of an earlier one is left: what it wrote proves as little as
// no file.
func (w *witness) of(life uint64) *witness {
	if w == nil || max(1, w.Life) != life {
		return nil
	}
	return w
}

// vouch writes which gateways there are. Gateways that are down stay, as long as the cluster knows them.
func vouch(dir string, t *record.Table) error {
	w, err := readWitness(dir)
	if w = w.of(lifeOf(t)); w == nil || err != nil {
		w = &witness{}
	}
	next := witness{Format: 1, Life: lifeOf(t), Gateways: make(map[string]sighted)}
	for instance, s := range w.Gateways {
		if member, _ := t.Member(s.Node); t.Node(s.Node) != nil && member == nil {
			next.Gateways[instance] = s
		}
	}
	for item := range t.All(record.KindMember) {
		m := item.Value.(*record.Member)
		next.Gateways[m.Instance] = sighted{m.Node, m.Incarnation}
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	for len(text)%witnessBlock != witnessBlock-1 {
		text = append(text, ' ')
	}
	f, err := openWitness(dir, unix.O_CREAT|unix.O_WRONLY)
	if err != nil {
		return err
	}
	size := int64(len(text) + 1)
	_, err = f.WriteAt(append(text, '\n'), 0)
	return errors.Join(err, f.Truncate(size), f.Sync(), f.Close())
}

// witnessWithin is how long a gateway waits until another one has written that it is there, or until that is seen.
const witnessWithin = 2 * time.Second

// errNotShared says what was found out.
var errNotShared = errors.New("what the volume's administrator wrote there does not arrive: this is not the file system of the other gateways, " +
	"but perhaps a copy; mount the same one")

// Witnessed fails unless the directory is that of the other gateways, or nobody could have shown it since this one joined. What was shown
// once counts as long as the process lives: all gateways may have to join anew at the same time.
func (m *Member) Witnessed(ctx context.Context, id causeway.VolumeID, dir string) error {
	for begun := time.Now(); ; {
		if _, shown := m.proved.Load(id); shown {
			return nil
		}
		t := m.Cluster().Table()
		self, _ := t.Member(m.cfg.Cluster.Node)
		if self == nil {
			return causeway.ErrDelay
		}
		w, err := readWitness(dir)
		w = w.of(lifeOf(t))
		if err == nil && w.names(self) {
			m.proved.Store(id, true)
		}
		late := time.Since(begun) > witnessWithin
		if suffices(w.of(lifeOf(m.Cluster().Table())), err, self, m.sawOwner(id), late) || unwritable(dir) {
			return nil
		}
		if late {
			return errors.Join(fmt.Errorf("%s: %w", dir, errNotShared), err)
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// suffices reports whether a gateway may administer a volume by what it has read there. What stays half written, and nobody is there who
// could finish it, is as good as nothing: else no gateway would ever serve the volume again.
func suffices(w *witness, err error, self *record.Member, owned, late bool) bool {
	if err != nil {
		return late && !owned && errors.Is(err, errTorn)
	}
	return w.shows(self, owned)
}

// unwritable reports whether this gateway cannot write the proof, and so nobody can have written it for a volume like this; what cannot
// be written cannot be corrupted either.
func unwritable(dir string) bool {
	err := unix.Access(filepath.Join(dir, filepath.Dir(witnessFile)), unix.W_OK)
	return err == unix.EROFS || err == unix.EACCES || err == unix.EPERM
}

// shows reports whether the file is proof enough. Without another owner since self joined, nobody could write its number: then
// it is enough that an owner knew the gateway at any time, or that there was never one, or none since the database was restored.
func (w *witness) shows(self *record.Member, owned bool) bool {
	if w == nil {
		return !owned
	}
	_, listed := w.Gateways[self.Instance]
	return listed && (!owned || w.names(self))
}

// names reports whether the file has the number that self has chosen when it joined.
func (w *witness) names(self *record.Member) bool {
	if w == nil {
		return false
	}
	s, listed := w.Gateways[self.Instance]
	return listed && s.Incarnation == self.Incarnation
}

// watchOwners remembers which volumes others own.
func (m *Member) watchOwners(t *record.Table) {
	for item := range t.All(record.KindOwner) {
		if item.Value.(*record.Owner).Node != m.cfg.Cluster.Node {
			m.others.Store(item.Key.Volume, true)
		}
	}
	select {
	case m.attesting <- struct{}{}:
	default:
	}
}

// attest vouches in the volumes of this gateway for those that are there, whenever they change. It waits for storage, so nothing
// else may wait for it.
func (m *Member) attest(ctx context.Context) {
	written := map[causeway.VolumeID]crowd{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.attesting:
		}
		t := m.Cluster().Table()
		now := crowdOf(t)
		for item := range t.All(record.KindOwner) {
			owner, id := item.Value.(*record.Owner), item.Key.Volume
			if owner.Node != m.cfg.Cluster.Node || !owner.Serving {
				delete(written, id)
			} else if written[id] != now {
				m.vouchFor(id)
				written[id] = now
			}
		}
	}
}

// crowd tells sets of members apart: who joins later has a later revision.
type crowd struct {
	members int
	latest  int64
}

func crowdOf(t *record.Table) crowd {
	c := crowd{members: t.Len(record.KindMember)}
	for item := range t.All(record.KindMember) {
		c.latest = max(c.latest, item.Create)
	}
	return c
}

// sawOwner reports whether another gateway has owned a volume since this process joined.
func (m *Member) sawOwner(id causeway.VolumeID) bool {
	_, saw := m.others.Load(id)
	return saw
}

// vouchFor writes into a volume of this gateway which gateways there are.
func (m *Member) vouchFor(id causeway.VolumeID) {
	c := m.Cluster()
	if c == nil || !m.Valid() {
		return
	}
	v := c.Table().Volume(id)
	if v == nil || (&Storage{Backend: v.Backend}).IsShare() {
		return
	}
	dir, err := Place(v.Backend)
	if err == nil && !unwritable(dir) {
		err = vouch(dir, c.Table())
	}
	if err != nil {
		m.log.Warn("other gateways cannot be shown that they have the same file system", "volume", v.Name, "err", err)
	}
}
