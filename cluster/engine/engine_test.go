package engine

import "testing"

func TestCheckVersion(t *testing.T) {
	for v, ok := range map[string]bool{
		"3.4.23": false, "3.5.16": false, "3.5.28": false, "3.5.29": true, "3.6.0": false, "3.6.10": true, "3.7.3": true, "3.7.0": true,
		"3.8.0-alpha.0": true, "4.0.0": true, "2.3.8": false, "": false, "3.x.1": false, "3.7": false, "3.3.99": false,
	} {
		if err := CheckVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
}
