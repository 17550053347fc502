package record

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway"
)

func sample() *Volume {
	return &Volume{ID: 1<<63 + 5, Name: "sales", Keys: []HandleKey{{ID: 2, Secret: [16]byte{1, 2, 3}}},
		Exports: []Export{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Squash: "all", AnonUID: 7, AnonGID: 8, Secure: true}},
		Backend: "posix:/mnt/sales", Weight: 3, Group: "g", Preferred: "n1", CanMigrate: true, Domain: "all", DomainPolicy: Strict,
		Exclusive: true, Settings: map[string]string{"k": "v"}}
}

func TestRoundTrip(t *testing.T) {
	for k, r := range map[Key]Record{
		Of(KindVolume, 1<<63+5): sample(),
		Named(KindNode, "n1"): &Node{Name: "n1", Weight: 2, UpdateInterval: Duration(time.Minute), Threshold: 80,
			Groups: []string{"b", "a"}, Domains: []string{"d"}, State: Draining},
		Named(KindMember, "n1"): &Member{Node: "n1", Instance: "i", Incarnation: 1<<64 - 1, Lease: 9, Peer: "h:1",
			Addresses: []netip.Addr{netip.MustParseAddr("::1")}, Versions: Versions{1, 2}, Since: time.Unix(5, 0).UTC()},
		Sole(KindPlan):    &Plan{Master: "n1", Moves: []Move{{5, "a", "b", 7}}},
		Of(KindShadow, 5): &Shadow{Incarnation: 1, Revision: 7, Term: 2},
	} {
		data, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(k, data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		again, err := Encode(back)
		if err != nil || string(again) != string(data) {
			t.Errorf("%v: %s became %s, %v", k, data, again, err)
		}
	}
}

// TestUnknownFields holds that what a newer version wrote survives a change by this one, at every level.
func TestUnknownFields(t *testing.T) {
	data, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.NewReplacer(`"squash":"all"`, `"squash":"all","sec":["krb5"]`, `"name":"sales"`, `"name":"sales","quota":{"soft":9007199254740993}`,
		`"id":2`, `"id":2,"alg":"x"`).Replace(string(data))
	r, err := Decode(Of(KindVolume, 1<<63+5), []byte(newer))
	if err != nil {
		t.Fatal(err)
	}
	v := r.(*Volume)
	v.Weight = 99
	back, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"sec":["krb5"]`, `"quota":{"soft":9007199254740993}`, `"alg":"x"`, `"weight":99`} {
		if !strings.Contains(string(back), want) {
			t.Errorf("%s is lost in %s", want, back)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, bad := range []string{`{"format":2,"node":"a"}`, `{"node":"a"}`, `{"format":1}`, `null`, `[]`, `{"format":1,"node":"a/b"}`} {
		if _, err := Decode(Sole(KindLock), []byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, k := range []Key{Sole(KindPlan), Named(KindNode, "a.b-c"), Of(KindOwner, 255), Of(KindShadow, 7), Refused(1<<63, "n")} {
		if back, err := ParseKey(k.String()); err != nil || back != k {
			t.Errorf("%v became %v, %v", k, back, err)
		}
	}
	for _, bad := range []string{"", "/other/node/a", "/causeway/what/a", "/causeway/owner/5", "/causeway/owner/00000000000000fF", "/causeway/node/"} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("%q became %+v", bad, k)
		}
	}
}

func TestVolumeOf(t *testing.T) {
	got := sample().Volume()
	want := &causeway.Volume{ID: 1<<63 + 5, Name: "sales", Exclusive: true, Mandatory: true, Keys: []causeway.HandleKey{{ID: 2, Secret: [16]byte{1, 2, 3}}},
		Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Squash: causeway.AllSquash, AnonUID: 7, AnonGID: 8, Secure: true}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
	if ExportOf(want.Exports[0]).Squash != "all" {
		t.Error("squash")
	}
}

func TestTable(t *testing.T) {
	item := func(k Key, v Record, rev int64) Change {
		return Change{k, &Item{Key: k, Value: v, Create: rev, Mod: rev}}
	}
	a := new(Table).With(1, []Change{item(Sole(KindCluster), &Cluster{ID: "c", Incarnation: 4}, 1), item(Of(KindOwner, 7), &Owner{Node: "a"}, 1)})
	b := a.With(2, []Change{{Key: Of(KindOwner, 7)}, item(Of(KindAssign, 7), &Assign{Node: "b"}, 2)})
	if o, _ := a.Owner(7); o == nil || a.Assigned(7) != "" || a.Revision() != 1 {
		t.Error("With changed its table")
	}
	if a.Epoch(7) != (causeway.Epoch{Incarnation: 4, Revision: 1}) || b.Epoch(7) != (causeway.Epoch{}) || b.Assigned(7) != "b" {
		t.Error("wrong content")
	}
	diff := a.Diff(b)
	if c := a.With(2, diff); len(diff) != 2 || len(c.Diff(b)) != 0 {
		t.Errorf("diff %+v", diff)
	}
}

func FuzzDecode(f *testing.F) {
	data, _ := Encode(sample())
	f.Add(uint8(KindVolume), data)
	f.Add(uint8(KindNode), []byte(`{"format":1,"name":"a","state":"active","update_interval":"1m","x":1}`))
	f.Add(uint8(KindPlan), []byte(`{"format":1,"master":"a","moves":[{"volume":1}],"MASTER":"b"}`))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		k := Key{Kind: Kind(kind), Volume: 1, Name: "x"}
		r, err := Decode(k, data)
		if err != nil {
			return
		}
		once, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(k, once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		twice, err := Encode(back)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%s became %s, %v", once, twice, err)
		}
		if !json.Valid(once) {
			t.Fatal("not JSON")
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"/causeway/plan", "/causeway/owner/00000000000000ff", "/causeway/refusal/0000000000000001/n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil && k.String() != s {
			t.Fatalf("%q became %q", s, k)
		}
	})
}
