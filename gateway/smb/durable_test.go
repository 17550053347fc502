package smb

import (
	"context"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// slowParting holds up those whose opens are kept.
type slowParting struct {
	everything
	come, pass chan struct{}
}

func (s *slowParting) Disconnect(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) error {
	s.come <- struct{}{}
	<-s.pass
	return s.everything.Disconnect(ctx, c, h, id)
}

// reconnectBody is a CREATE that asks for an open back that durableCreate made.
func reconnectBody(name string, id wire.FileID, guid byte) []byte {
	b := createBody(name, 1, stateRWH)
	at := le.Uint32(b[48:]) - wire.HeaderSize
	data := make([]byte, 36)
	le.PutUint64(data, id.Persistent)
	le.PutUint64(data[8:], id.Volatile)
	data[16] = guid
	list := contexts.Append(nil, []contexts.Context{{Name: contexts.DurableV2Reconnect, Data: data}})
	le.PutUint32(b[52:], uint32(len(list)))
	b[3] = wire.OplockBatch
	return append(b[:at], list...)
}

// TestReconnectEarly: a client is back before the end of its last connection is done with. It waits for that and has its open again; while
// its connection lasts nobody gets it.
func TestReconnectEarly(t *testing.T) {
	first := newRig(t, false)
	defer first.close()
	first.ses.guid = [16]byte{1}
	slow := &slowParting{first.srv.cfg.Access, make(chan struct{}), make(chan struct{})}
	first.srv.cfg.Access = slow
	made, status := first.create(t, 0, durableCreate("f", 7))
	if status != ntstatus.OK {
		t.Fatal(status)
	}
	second := first.again(t)
	if _, status := second.create(t, 0, reconnectBody("f", made, 7)); status != ntstatus.ObjectNameNotFound {
		t.Error("an open that is in use:", status)
	}
	first.client.Close()
	<-slow.come
	time.AfterFunc(200*time.Millisecond, func() { close(slow.pass) })
	if again, status := second.create(t, 0, reconnectBody("f", made, 7)); status != ntstatus.OK || again.Persistent != made.Persistent {
		t.Fatal("an open whose connection is ending:", again, status)
	}
	second.client.Close()
	<-slow.come
	second.close()
}
