package utilization

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestMachine(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"stat": "cpu  10 20 30 400 40 5 6 7 8 9\ncpu0 1 2 3 4\n",
		"dev": "Inter-|   Receive                                                |  Transmit\n" +
			" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
			"  eth0: 123 1 0 0 0 0 0 0 456 2 0 0 0 0 0 0\n    lo:7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n",
		"net/eth0/speed": "1000\n", "net/lo/speed": "-1\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r := machine(os.ReadFile, filepath.Join(dir, "stat"), filepath.Join(dir, "dev"), filepath.Join(dir, "net"))
	if r.CPUBusy != 78 || r.CPUTotal != 518 {
		t.Errorf("busy %d of %d", r.CPUBusy, r.CPUTotal)
	}
	if want := []Link{{"eth0", 123, 456, 125_000_000}, {"lo", 7, 7, 0}}; !reflect.DeepEqual(r.Links, want) {
		t.Errorf("%+v", r.Links)
	}
	if real := Machine(); real.CPUTotal == 0 || len(real.Links) == 0 {
		t.Error("this machine's processors are not seen")
	}
}

func FuzzProcessors(f *testing.F) {
	f.Add([]byte("cpu  10 20 30 400 40 5 6 7 8 9\n"))
	f.Fuzz(func(t *testing.T, text []byte) { processors(text) })
}

func FuzzInterfaces(f *testing.F) {
	f.Add([]byte("  eth0: 123 1 0 0 0 0 0 0 456 2 0 0 0 0 0 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) { interfaces(text) })
}
