package replies

import (
	"encoding/json"
	"fmt"

	"causeway"
	"causeway/gateway"
)

// Result is how a change ended: as much of it as that kind of change has. Code is OK or why it was refused.
type Result struct {
	Code    causeway.Code      `json:"code"`
	Entry   gateway.Entry      `json:"entry,omitzero"`
	Changes [2]causeway.Change `json:"changes,omitzero"`
}

// MaxRecord is the longest record in bytes that is read: more than any result with two ACLs needs.
const MaxRecord = 64 << 10

// format of records; a reader refuses others.
const format = 1

type stored struct {
	Format int    `json:"format"`
	Result Result `json:"result"`
}

// encode leaves out what no answer needs: ACLs are not reported with a change.
func (r Result) encode() []byte {
	r.Entry.Attr.ACL = nil
	for i := range r.Changes {
		r.Changes[i].Before.ACL, r.Changes[i].After.ACL = nil, nil
	}
	data, err := json.Marshal(stored{format, r})
	if err != nil {
		panic(err) // plain values only
	}
	return data
}

func decode(data []byte) (Result, error) {
	if len(data) > MaxRecord {
		return Result{}, fmt.Errorf("replies: a record of %d bytes", len(data))
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return Result{}, fmt.Errorf("replies: %w", err)
	}
	if s.Format != format {
		return Result{}, fmt.Errorf("replies: format %d of a record is not known", s.Format)
	}
	return s.Result, nil
}

// Record is a call that has ended, for another gateway.
type Record struct {
	Op   causeway.OpID
	Data []byte
}

// Records returns what is remembered of a volume, the oldest first.
func (m *Memory) Records(v causeway.VolumeID) []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expireLocked()
	var list []Record
	for at := m.order.Front(); at != nil; at = at.Next() {
		if e := at.Value.(*entry); e.volume == v {
			list = append(list, Record{e.op, e.result.encode()})
		}
	}
	return list
}

// Restore takes over what an earlier owner of a volume remembered. What is known already stays as it is. It returns the first fault of
// a record, after it has taken the others.
func (m *Memory) Restore(v causeway.VolumeID, list []Record) error {
	var fault error
	for _, rec := range list {
		r, err := decode(rec.Data)
		if err != nil {
			if fault == nil {
				fault = err
			}
			continue
		}
		if e, first := m.begin(key{v, rec.Op}); first {
			m.finish(e, r, [2]causeway.ObjectID{}, false)
		}
	}
	return fault
}

// Len counts what is remembered.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order.Len()
}
