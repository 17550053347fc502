package wire

import (
	"causeway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/shadow"
)

// MaxPart is about how many bytes of records go into one message.
const MaxPart = 1 << 20

// maxRecord bounds one record.
const maxRecord = 1 << 20

// Weigh returns about how many bytes records have.
func Weigh(list []shadow.Record) (n int) {
	for i := range list {
		n += 32 + len(list[i].Name) + len(list[i].Data)
	}
	return n
}

// Batch makes the message of a batch.
func Batch(b *shadow.Batch) *peerpb.Batch {
	out := &peerpb.Batch{
		Volume: uint64(b.Volume), Version: &peerpb.Version{Epoch: epoch(b.Version.Epoch), Term: b.Version.Term}, Whole: b.Whole, Seq: b.Seq,
		Records: make([]*peerpb.Record, len(b.Records)),
	}
	for i, r := range b.Records {
		out.Records[i] = &peerpb.Record{Kind: uint32(r.Kind), Name: []byte(r.Name), Data: r.Data}
	}
	return out
}

// BatchOf returns the batch of a message, or the part of one.
func BatchOf(b *peerpb.Batch) (shadow.Batch, error) {
	if b == nil {
		return shadow.Batch{}, causeway.ErrInval
	}
	out := shadow.Batch{
		Volume:  causeway.VolumeID(b.Volume),
		Version: shadow.Version{Epoch: Epoch(b.GetVersion().GetEpoch()), Term: b.GetVersion().GetTerm()},
		Whole:   b.Whole, Seq: b.Seq, Records: make([]shadow.Record, len(b.Records)),
	}
	for i, r := range b.Records {
		if r.GetKind() == 0 || r.GetKind() > 255 || len(r.GetName())+len(r.GetData()) > maxRecord {
			return shadow.Batch{}, causeway.ErrInval
		}
		out.Records[i] = shadow.Record{Kind: shadow.Kind(r.Kind), Name: string(r.Name), Data: r.Data}
	}
	return out, nil
}

// Parts calls send with messages that together are a batch; at least once.
func Parts(b *shadow.Batch, send func(*peerpb.Batch) error) error {
	part, rest := *b, b.Records
	for {
		n, size := 0, 0
		for n < len(rest) && size < MaxPart {
			size += Weigh(rest[n : n+1])
			n++
		}
		part.Records, rest = rest[:n], rest[n:]
		if err := send(Batch(&part)); err != nil || len(rest) == 0 {
			return err
		}
	}
}
