package setting

import (
	"strings"
	"testing"
	"time"
)

func TestPositive(t *testing.T) {
	zero, set, wait := 0, 7, time.Duration(0)
	if Positive("a", &zero, 3) != nil || Positive("b", &set, 3) != nil || Positive("c", &wait, time.Second) != nil {
		t.Error("refused")
	}
	if zero != 3 || set != 7 || wait != time.Second {
		t.Error(zero, set, wait)
	}
	bad := -time.Second
	if err := Positive("room: Wait", &bad, time.Second); err == nil || !strings.Contains(err.Error(), "room: Wait") || bad != -time.Second {
		t.Error(err, bad)
	}
}
