package admin

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// fields lists the paths of all fields of a type's JSON.
func fields(t reflect.Type, path string) (found []string) {
	switch {
	case t.Kind() == reflect.Slice:
		return fields(t.Elem(), path+"[]")
	case t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]():
		return []string{strings.TrimPrefix(path, ".")}
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		found = append(found, fields(t.Field(i).Type, path+"."+name)...)
	}
	return found
}

// TestStatusFields holds that programs which read status find the fields that they know: new ones are added to
// testdata/status-fields, none is taken away while the format is 1.
func TestStatusFields(t *testing.T) {
	const file = "testdata/status-fields"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have, want := fields(reflect.TypeFor[Status](), ""), strings.Fields(string(text))
	for _, field := range want {
		if !slices.Contains(have, field) {
			t.Errorf("%s has gone", field)
		}
	}
	for _, field := range have {
		if !slices.Contains(want, field) {
			t.Errorf("%s is new: add it to %s", field, file)
		}
	}
}

func TestMeter(t *testing.T) {
	m := &Meter{}
	for range 10 {
		m.Observe(3, 5)
	}
	if calls, in, out := m.Totals(); calls != 10 || in != 30 || out != 50 {
		t.Error(calls, in, out)
	}
}
