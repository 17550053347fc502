package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// Record is one of the types of this package that the database stores.
type Record interface {
	header() *Header
	// Validate names the field that is wrong.
	Validate() error
}

// Format is the format number that this version writes, and the highest that it reads. It rises only when an older reader
// would misunderstand a record; a new field that an older reader may ignore does not raise it.
const Format = 1

// MaxSize bounds an encoded record in bytes.
const MaxSize = 512 << 10

// Header stands in every record: the format, and the fields that a newer version wrote and this one does not know. They
// survive when this version writes the record back.
type Header struct {
	Format  int `json:"format"`
	unknown unknown
}

func (h *Header) header() *Header { return h }

type unknown map[string]json.RawMessage

// Encode returns r as it is stored.
func Encode(r Record) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	h := r.header()
	format := max(h.Format, Format)
	data, err := merge(r, h.unknown, map[string]json.RawMessage{"format": json.RawMessage(fmt.Sprint(format))})
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("record of %d bytes: more than %d", len(data), MaxSize)
	}
	return data, err
}

// Decode returns the record that was stored under k. It refuses one that only a newer version understands.
func Decode(k Key, data []byte) (Record, error) {
	r := blank(k.Kind)
	if r == nil {
		return nil, fmt.Errorf("%v: unknown kind", k)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%v: record of %d bytes", k, len(data))
	}
	u, err := split(data, r)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", k, err)
	}
	h := r.header()
	if h.Format < 1 || h.Format > Format {
		return nil, fmt.Errorf("%v: format %d, this version reads 1 to %d", k, h.Format, Format)
	}
	h.unknown = u
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("%v: %w", k, err)
	}
	return r, nil
}

func blank(k Kind) Record {
	switch k {
	case KindCluster:
		return new(Cluster)
	case KindNode:
		return new(Node)
	case KindMember:
		return new(Member)
	case KindLoad:
		return new(Load)
	case KindVolume:
		return new(Volume)
	case KindName:
		return new(Name)
	case KindAssign:
		return new(Assign)
	case KindOwner:
		return new(Owner)
	case KindLock:
		return new(Lock)
	case KindPlan:
		return new(Plan)
	case KindConfirm:
		return new(Confirm)
	case KindFence:
		return new(Fence)
	case KindRefusal:
		return new(Refusal)
	case KindToken:
		return new(Token)
	case KindAuthority:
		return new(Authority)
	case KindServer:
		return new(Server)
	case KindClient:
		return new(Client)
	case KindSettings:
		return new(Settings)
	case KindRebalance:
		return new(Rebalance)
	case KindUser:
		return new(User)
	case KindShadow:
		return new(Shadow)
	}
	return nil
}

// split decodes data into the struct that into points to and returns the fields that the struct does not have.
func split(data []byte, into any) (unknown, error) {
	if err := json.Unmarshal(data, into); err != nil {
		return nil, err
	}
	var all unknown
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	if all == nil { // the document "null"
		return nil, fmt.Errorf("no object")
	}
	for name := range all {
		// The decoder matches names without regard to case, so that a field in another case must not count as unknown.
		if known(reflect.TypeOf(into).Elem(), name) {
			delete(all, name)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// merge encodes the struct that from points to with the fields of extras beside its own. Later extras win over earlier ones
// and over the struct.
func merge(from any, extras ...map[string]json.RawMessage) ([]byte, error) {
	data, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	for _, extra := range extras {
		maps.Copy(all, extra)
	}
	return json.Marshal(all)
}

func known(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && f.Type.Kind() == reflect.Struct && known(f.Type, name) || tag != "" && strings.EqualFold(tag, name) {
			return true
		}
	}
	return false
}
