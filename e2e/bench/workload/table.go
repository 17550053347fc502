package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Shape is how much of a workload is done at a time.
type Shape struct {
	Connections, Outstanding int
	Count                    int // files, see Kind
}

// Unit is what CPU time is divided by.
type Unit struct {
	Name string // "call", "GiB"
	Size int64  // of the driver's units make one
}

var (
	call  = Unit{"call", 1}
	file  = Unit{"file", 1}
	entry = Unit{"entry", 1}
	gib   = Unit{"GiB", 1 << 30}
)

// Kind is a workload without its shape.
type Kind struct {
	Name    string
	Unit    Unit
	Bounded bool // it ends by itself; others last as long as they are told to
	Count   int  // files of one measurement, for kinds that count them
	Creates bool // makes Count files through the server
	Dirties bool // leaves dirty pages or an open journal that the next measurement should not pay for
	Plan    func(*Scene, Shape) (Plan, error)
}

// Kinds is the table of all workloads.
var Kinds = []Kind{
	{Name: "null", Unit: call, Plan: null},
	{Name: "getattr", Unit: call, Plan: getAttr},
	{Name: "lookup", Unit: call, Plan: lookUp},
	{Name: "read4k", Unit: call, Plan: readRandom},
	{Name: "write4k", Unit: call, Dirties: true, Plan: writeRandom},
	{Name: "read1m", Unit: gib, Plan: readSequence},
	{Name: "write1m", Unit: gib, Bounded: true, Dirties: true, Plan: writeNew},
	{Name: "overwrite1m", Unit: gib, Dirties: true, Plan: overwrite},
	{Name: "create", Unit: file, Bounded: true, Count: 8000, Creates: true, Dirties: true, Plan: createEmpty},
	{Name: "create4k", Unit: file, Bounded: true, Count: 4000, Creates: true, Dirties: true, Plan: createUnstable},
	{Name: "create4k-filesync", Unit: file, Bounded: true, Count: 4000, Creates: true, Dirties: true, Plan: createFileSync},
	{Name: "unlink", Unit: file, Bounded: true, Count: 8000, Dirties: true, Plan: unlink},
	{Name: "readdirplus", Unit: entry, Plan: list},
}

// Workload is a kind in a shape, named kind-cNqM.
type Workload struct {
	Kind
	Shape
}

// FullName is the kind and the shape, as Parse takes it.
func (w Workload) FullName() string {
	return fmt.Sprintf("%s-c%dq%d", w.Name, w.Connections, w.Outstanding)
}

// Parse reads a name such as "read4k-c64q1".
func Parse(name string) (Workload, error) {
	kind, shape, _ := cutLast(name, "-c")
	connections, outstanding, _ := strings.Cut(shape, "q")
	c, err1 := strconv.Atoi(connections)
	q, err2 := strconv.Atoi(outstanding)
	for _, k := range Kinds {
		if k.Name == kind && err1 == nil && err2 == nil && c > 0 && q > 0 {
			return Workload{k, Shape{c, q, k.Count}}, nil
		}
	}
	return Workload{}, fmt.Errorf("workload %q is not KIND-cCONNECTIONSqOUTSTANDING with a known kind", name)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
