package record

// Cond is one comparison of a transaction. The zero revisions mean "absent"; negative ones are not compared.
type Cond struct {
	Key         Key
	Create, Mod int64
}

// Absent holds if there is no such key.
func Absent(k Key) Cond { return Cond{k, 0, -1} }

// CreatedAt holds if the key is still the one that revision create made, whatever it says now.
func CreatedAt(k Key, create int64) Cond { return Cond{k, create, -1} }

// Unchanged holds if the key was last written by revision mod; 0 means that there is none.
func Unchanged(k Key, mod int64) Cond { return Cond{k, -1, mod} }

// Op puts a record, or deletes the key if Value is nil.
type Op struct {
	Key   Key
	Value Record
	Lease int64 // 0: none
}

// Put returns an operation that writes v, to vanish with lease (0: to stay).
func Put(k Key, v Record, lease int64) Op { return Op{k, v, lease} }

// Delete returns an operation that removes k, if it is there.
func Delete(k Key) Op { return Op{Key: k} }

// Txn happens as a whole, and only if all conditions hold. Every write to the database is one.
type Txn struct {
	If   []Cond
	Then []Op
}

// MaxOps bounds the operations, and the comparisons, of one transaction: the database's own default limit is 128 of each.
const MaxOps = 120

// Create returns the transaction that writes a record where there is none.
func Create(k Key, v Record, lease int64) Txn {
	return Txn{[]Cond{Absent(k)}, []Op{Put(k, v, lease)}}
}

// Update returns the transaction that replaces an item by v if nobody changed it since.
func Update(old *Item, v Record) Txn {
	return Txn{[]Cond{Unchanged(old.Key, old.Mod)}, []Op{Put(old.Key, v, old.Lease)}}
}

// Remove returns the transaction that deletes an item if nobody changed it since.
func Remove(old *Item) Txn {
	return Txn{[]Cond{Unchanged(old.Key, old.Mod)}, []Op{Delete(old.Key)}}
}

// CreateVolume returns the transaction that makes a volume, if neither its id nor its name is taken.
func CreateVolume(v *Volume) Txn {
	id, name := Of(KindVolume, v.ID), Named(KindName, v.Name)
	return Txn{[]Cond{Absent(id), Absent(name)}, []Op{Put(id, v, 0), Put(name, &Name{Volume: v.ID}, 0)}}
}

// RemoveVolume returns the transaction that deletes a volume and frees its name, if nobody changed it since.
func RemoveVolume(old *Item) Txn {
	v := old.Value.(*Volume)
	return Txn{[]Cond{Unchanged(old.Key, old.Mod)},
		[]Op{Delete(old.Key), Delete(Named(KindName, v.Name)), Delete(Of(KindAssign, v.ID)), Delete(Of(KindShadow, v.ID))}}
}
