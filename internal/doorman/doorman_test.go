package doorman

import (
	"net"
	"testing"
)

func TestDoorman(t *testing.T) {
	d := &Doorman{Total: 3, PerAddr: 2}
	at := func(text string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var leave [3]func()
	for i, from := range []string{"10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.2:1"} {
		var ok bool
		if leave[i], ok = d.Enter(at(from)); !ok {
			t.Fatal(from)
		}
		if _, ok := d.Enter(at("10.0.0.1:3")); ok != (i == 0) && i > 0 {
			t.Error("three of one address")
		} else if ok {
			d.leave(addrOf(at("10.0.0.1:3")))
		}
	}
	if _, ok := d.Enter(at("10.0.0.3:1")); ok {
		t.Error("four")
	}
	leave[0]()
	leave[0]()
	if _, ok := d.Enter(at("10.0.0.1:4")); !ok {
		t.Error("there is room")
	}
	if _, ok := d.Enter(at("10.0.0.3:1")); ok {
		t.Error("somebody left twice")
	}
	if d.Refused() < 3 {
		t.Error(d.Refused())
	}
}

func TestListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Doorman{Total: 10, PerAddr: 1}
	bounded := d.Listener(l)
	defer bounded.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	defer dial().Close()
	first, err := bounded.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() { c, _ := bounded.Accept(); accepted <- c }()
	second := dial()
	defer second.Close()
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("not hung up on")
	}
	first.Close()
	defer dial().Close()
	if c := <-accepted; c == nil {
		t.Error("nobody is let in any more")
	} else {
		c.Close()
	}
}
