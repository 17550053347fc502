package path

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"causeway"
)

func wrapped(code causeway.Code, e error) error {
	return &causeway.Error{Op: "posix write", Code: code, Err: e}
}

// TestAnalyse: what each error of storage means.
func TestAnalyse(t *testing.T) {
	answer, another := Verdict{Action: Answer}, Verdict{OtherPath, true}
	for name, c := range map[string]struct {
		op   Op
		err  error
		want Verdict
	}{
		"EIO":                 {Read, wrapped(causeway.ErrIO, syscall.EIO), another},
		"EIO at a sync":       {Sync, wrapped(causeway.ErrIO, syscall.EIO), another},
		"a bare code":         {Write, causeway.ErrIO, another},
		"ENXIO":               {Write, wrapped(causeway.ErrNXIO, syscall.ENXIO), another},
		"ENODEV":              {Write, wrapped(causeway.ErrNoDev, syscall.ENODEV), another},
		"ETIMEDOUT":           {Read, wrapped(causeway.ErrDelay, syscall.ETIMEDOUT), another},
		"ESHUTDOWN":           {Read, wrapped(causeway.ErrIO, syscall.ESHUTDOWN), another},
		"ESTALE":              {Read, causeway.ErrStale, Verdict{Ask, true}},
		"ENOSPC":              {Write, causeway.ErrNoSpc, answer},
		"EDQUOT":              {Write, causeway.ErrDQuot, answer},
		"EFBIG":               {Write, causeway.ErrFBig, answer},
		"EROFS":               {Write, causeway.ErrROFS, Verdict{Action: OtherGateway}},
		"EROFS of a read":     {Read, causeway.ErrROFS, answer},
		"EBADMSG":             {Read, wrapped(causeway.ErrIO, syscall.EBADMSG), answer},
		"ENOMEM":              {Read, wrapped(causeway.ErrDelay, syscall.ENOMEM), Verdict{Action: Here}},
		"EMFILE":              {Read, wrapped(causeway.ErrDelay, syscall.EMFILE), Verdict{Action: OtherGateway}},
		"a lease that ended":  {Write, causeway.ErrDelay, answer},
		"no right":            {Read, causeway.ErrAccess, answer},
		"a lock":              {Write, causeway.ErrLocked, answer},
		"a client that left":  {Read, context.Canceled, answer},
		"a deadline":          {Read, wrapped(causeway.ErrDelay, context.DeadlineExceeded), answer},
		"what nobody expects": {Read, errors.New("?"), answer},
	} {
		if got := (Default{}).Analyse(&Failure{Op: c.op, Err: c.err}); got != c.want {
			t.Errorf("%s: %+v, not %+v", name, got, c.want)
		}
	}
	for err, want := range map[causeway.Code]Action{
		causeway.ErrMoved: OtherPath, causeway.ErrIO: OtherPath, causeway.ErrROFS: OtherPath, causeway.ErrStaleEpoch: Here,
		causeway.ErrNoSpc: Answer, causeway.ErrStale: Answer, causeway.ErrDelay: Answer, causeway.ErrAccess: Answer,
	} {
		if got := (Default{}).Analyse(&Failure{Op: Write, Path: Path{Node: "g2"}, Err: err}); got != (Verdict{Action: want}) {
			t.Errorf("another gateway, %v: %+v", err, got)
		}
	}
}

// TestChoose: own paths first, each once a round; rounds end.
func TestChoose(t *testing.T) {
	paths := []Path{{Node: "b"}, {}, {Node: "c"}, {Own: 1}}
	try, order := Try{}, []Path{}
	for {
		i := (Default{}).Choose(paths, &try)
		if i < 0 {
			break
		}
		order = append(order, paths[i])
		try.Tried = append(try.Tried, paths[i])
	}
	want := []Path{{}, {Own: 1}, {Node: "b"}, {Node: "c"}}
	if len(order) != len(want) {
		t.Fatal(order)
	}
	for i := range want {
		if order[i] != want[i] {
			t.Error(order)
		}
	}
	var since time.Duration
	for rounds := 0; ; rounds++ {
		pause, again := (Default{Patience: 3 * time.Second}).Schedule(&Try{Rounds: rounds, Since: since})
		if !again {
			break
		}
		if pause < firstPause || pause > mostPause || rounds > 1000 {
			t.Fatal(rounds, pause)
		}
		since += pause
	}
	if since < 3*time.Second || since > 4*time.Second {
		t.Error(since)
	}
}

// TestHealth: one failed probe kills a path, two good ones in a row bring it back, and probes of a dead one become rarer.
func TestHealth(t *testing.T) {
	var h Health
	bad := errors.New("gone")
	if !h.Suspect(5, bad) || h.Suspect(6, bad) {
		t.Error("it is suspected once")
	}
	if wait, due := h.Due(5); wait != 0 || !due {
		t.Error(wait, due)
	}
	if h.Probed(7, nil) {
		t.Error("it never died")
	}
	if _, due := h.Due(7); due {
		t.Error("alive, and probed")
	}
	now := time.Duration(0)
	h.Suspect(now, bad)
	last := time.Duration(0)
	for i := range 10 {
		if h.Probed(now, bad) != (i == 0) {
			t.Error("it dies once")
		}
		wait, due := h.Due(now)
		if !due || wait < last || wait > mostProbe {
			t.Error(wait, due)
		}
		last, now = wait, now+wait
	}
	if h.Probed(now, nil) || h.Probed(now, bad) || h.Probed(now, nil) {
		t.Error("back after one probe")
	}
	if state, err := h.State(); state != Dead || err != bad {
		t.Error(state, err)
	}
	if !h.Probed(now, nil) {
		t.Error("not back")
	}
	if state, err := h.State(); state != Alive || err != nil || state.String() != "alive" {
		t.Error(state, err)
	}
}
