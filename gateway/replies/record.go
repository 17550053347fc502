package replies

import (
	"fmt"

	"causeway"
	"causeway/gateway"
)

// Result is how a change ended: as much of it as that kind of change has. Code is OK or why it was refused.
type Result struct {
	Code    causeway.Code
	Entry   gateway.Entry
	Changes [2]causeway.Change
	opened  gateway.Opened // of an open that was made here
}

// format of records, their first byte; a reader refuses others.
const format = 1

// recordSize is that of all records: format, code, object.
const recordSize = 2 + causeway.ObjectIDSize

// encode keeps what a repetition cannot do without: whether it was done, and what was made. Attributes are left out, as every protocol
// allows: those of the first answer would be old by now.
func (r *Result) encode() []byte {
	b := append(make([]byte, 0, recordSize), format, byte(r.Code))
	return append(b, r.Entry.Handle.Object[:]...)
}

func decode(v causeway.VolumeID, data []byte) (Result, error) {
	if len(data) != recordSize || data[0] != format {
		return Result{}, fmt.Errorf("replies: a record of %d bytes, or of another format", len(data))
	}
	r := Result{Code: causeway.Code(data[1])}
	if !r.Code.Known() {
		return Result{}, fmt.Errorf("replies: code %d is not known", data[1])
	}
	if copy(r.Entry.Handle.Object[:], data[2:]); !r.Entry.Handle.Object.IsZero() {
		r.Entry.Handle.Volume = v
	}
	return r, nil
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
		r, err := decode(v, rec.Data)
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
