package client

import "testing"

func TestUmaskIn(t *testing.T) {
	for status, want := range map[string]string{
		"Name:\tcat\nUmask:\t0077\nState:\tR\n": "-rwx------", "Umask:\t0000\n": "-rwxrwxrwx", "Name:\tcat\n": "-rwxr-xr-x", "Umask:\tnone\n": "-rwxr-xr-x", "": "-rwxr-xr-x",
	} {
		if got := 0o777 &^ umaskIn(status); got.String() != want {
			t.Errorf("%q: %v, not %s", status, got, want)
		}
	}
}
