package workload

import (
	"fmt"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// asker makes one of a set of ready calls, chosen at random.
type asker struct {
	records []nfs3.Record
	random  random
	judge   func(*nfs3.Reply) error
}

func (a *asker) Next(int) (nfs3.Record, []byte, bool) {
	if len(a.records) == 1 {
		return a.records[0], nil, true
	}
	return a.records[a.random.next(len(a.records))], nil, true
}

func (a *asker) Done(_ int, r *nfs3.Reply) (int64, error) { return 1, a.judge(r) }

// ask makes the plan of a set of calls. Every connection has its own copies, because xids are patched in place.
func (s *Scene) ask(records []nfs3.Record, judge func(*nfs3.Reply) error) Plan {
	return Plan{ReplySize: 512, Driver: func(connection int) load.Driver {
		own := make([]nfs3.Record, len(records))
		for i, r := range records {
			own[i] = append(nfs3.Record(nil), r...)
		}
		return &asker{records: own, random: s.random(connection), judge: judge}
	}}
}

func null(s *Scene, _ Shape) (Plan, error) {
	return s.ask([]nfs3.Record{s.call(nfs3.Null).Seal(0)}, func(r *nfs3.Reply) error { return r.End() }), nil
}

func getAttr(s *Scene, _ Shape) (Plan, error) {
	dir, err := s.lookup("names")
	if err != nil {
		return Plan{}, err
	}
	var records []nfs3.Record
	for i := range s.Tree.Sizes.Names {
		handle, err := s.Client.Lookup(dir, fileName(0, i))
		if err != nil {
			return Plan{}, err
		}
		r := s.call(nfs3.GetAttr)
		r.Opaque(handle)
		records = append(records, r.Seal(0))
	}
	uid := uint32(s.Tree.UID)
	return s.ask(records, func(r *nfs3.Reply) error {
		a, err := r.GetAttrResult()
		if err == nil && (a.Type != 1 || a.UID != uid || a.Size != 0) {
			err = fmt.Errorf("GETATTR answered %+v", a)
		}
		return err
	}), nil
}

func lookUp(s *Scene, _ Shape) (Plan, error) {
	dir, err := s.lookup("names")
	if err != nil {
		return Plan{}, err
	}
	var records []nfs3.Record
	for i := range s.Tree.Sizes.Names {
		r := s.call(nfs3.Lookup)
		r.Opaque(dir)
		r.Opaque([]byte(fileName(0, i)))
		records = append(records, r.Seal(0))
	}
	return s.ask(records, func(r *nfs3.Reply) error {
		handle, err := r.LookupResult()
		if err == nil && len(handle) == 0 {
			err = fmt.Errorf("LOOKUP answered no handle")
		}
		return err
	}), nil
}
