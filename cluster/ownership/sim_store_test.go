package ownership

import (
	"slices"
	"testing"
	"time"

	"causeway/cluster/record"
)

// simStore behaves as the database does: revisions, transactions, leases, and a log of changes.
type simStore struct {
	t        *testing.T
	revision int64
	items    map[record.Key]*record.Item
	log      []logged
	leases   map[int64]time.Duration // end
	lease    int64
	check    func(k record.Key, old, new *record.Item)
	txns     int
	publish  bool // the transaction at hand publishes a plan
}

type logged struct {
	revision int64
	changes  []record.Change
}

func newSimStore(t *testing.T) *simStore {
	return &simStore{t: t, revision: 1, items: make(map[record.Key]*record.Item), leases: make(map[int64]time.Duration)}
}

func (s *simStore) grant(now time.Duration) int64 {
	s.lease++
	s.leases[s.lease] = now + ttl
	return s.lease
}

func (s *simStore) transact(txn record.Txn) (bool, int64) {
	s.txns++
	if len(txn.If) > 128 || len(txn.Then) > 128 {
		s.t.Fatalf("transaction of %d conditions and %d operations", len(txn.If), len(txn.Then))
	}
	for _, c := range txn.If {
		var create, mod int64
		if item := s.items[c.Key]; item != nil {
			create, mod = item.Create, item.Mod
		}
		if c.Create >= 0 && c.Create != create || c.Mod >= 0 && c.Mod != mod {
			return false, s.revision
		}
	}
	for _, op := range txn.Then {
		if _, ok := s.leases[op.Lease]; op.Lease != 0 && !ok {
			return false, 0 // the database answers with an error
		}
	}
	s.write(txn.Then)
	return true, s.revision
}

func (s *simStore) write(ops []record.Op) {
	entry := logged{revision: s.revision + 1}
	s.publish = len(ops) > 1 && ops[0].Key.Kind == record.KindPlan && ops[0].Value == nil
	for i, op := range ops {
		if slices.ContainsFunc(ops[:i], func(o record.Op) bool { return o.Key == op.Key }) {
			s.t.Fatalf("%v is written twice in a transaction", op.Key)
		}
		old := s.items[op.Key]
		if op.Value == nil {
			if old == nil {
				continue
			}
			delete(s.items, op.Key)
			entry.changes = append(entry.changes, record.Change{Key: op.Key})
			s.checked(op.Key, old, nil)
			continue
		}
		if err := op.Value.Validate(); err != nil {
			s.t.Fatal(err)
		}
		item := &record.Item{Key: op.Key, Value: op.Value, Create: entry.revision, Mod: entry.revision, Lease: op.Lease}
		if old != nil {
			item.Create = old.Create
		}
		s.items[op.Key] = item
		entry.changes = append(entry.changes, record.Change{Key: op.Key, Item: item})
		s.checked(op.Key, old, item)
	}
	if len(entry.changes) > 0 {
		s.revision++
		s.log = append(s.log, entry)
	}
}

func (s *simStore) checked(k record.Key, old, new *record.Item) {
	if s.check != nil {
		s.check(k, old, new)
	}
}

func (s *simStore) revoke(lease int64) {
	if _, ok := s.leases[lease]; !ok {
		return
	}
	delete(s.leases, lease)
	var ops []record.Op
	for k, item := range s.items {
		if item.Lease == lease {
			ops = append(ops, record.Delete(k))
		}
	}
	slices.SortFunc(ops, func(a, b record.Op) int { return slices.Compare([]byte(a.Key.String()), []byte(b.Key.String())) })
	s.write(ops)
}

func (s *simStore) expire(now time.Duration) {
	for id := int64(1); id <= s.lease; id++ {
		if end, ok := s.leases[id]; ok && end <= now {
			s.revoke(id)
		}
	}
}

// leaderChange resets the time of all leases, as a new leader does.
func (s *simStore) leaderChange(now time.Duration) {
	for id := range s.leases {
		s.leases[id] = now + ttl
	}
}
