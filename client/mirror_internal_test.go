package client

import (
	"log/slog"
	"testing"
	"time"

	"causeway/client/clientpb"
)

// TestMirrorWithdrawnMeanwhile: a mirror that is withdrawn while the client goes there is left at once.
func TestMirrorWithdrawnMeanwhile(t *testing.T) {
	c := &Client{cfg: Config{Log: slog.New(slog.DiscardHandler), MirrorFor: time.Hour}, life: t.Context()}
	v, m := &Volume{c: c, name: "v"}, &Volume{c: c, name: "copy"}
	c.volumes = map[string]*Volume{"v": v, "copy": m}
	from, order := &link{}, &clientpb.Redirect{Volume: "v", Mirror: "copy"}
	for _, list := range [][]*clientpb.Mirror{nil, {{Volume: "copy", Mirror: "v"}}} {
		c.offered(from, &clientpb.Mirrors{All: list})
		if c.toMirror(v, from, order); v.mirror.Load() != nil {
			t.Errorf("it reads at a mirror that is not among %v", list)
		}
	}
	c.offered(from, &clientpb.Mirrors{All: []*clientpb.Mirror{{Volume: "v", Mirror: "copy"}}})
	if c.toMirror(v, from, order); v.mirror.Load() == nil {
		t.Error("it does not go to a mirror that is offered")
	}
	if c.offered(from, nil); v.mirror.Load() == nil {
		t.Error("it leaves a mirror of which nothing was said")
	}
}
