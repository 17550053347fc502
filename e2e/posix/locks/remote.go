package locks

import (
	"encoding/gob"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Remote is the near end of an actor.
type Remote struct {
	Name string
	conn net.Conn

	mu      sync.Mutex
	encoder *gob.Encoder
	last    int
	waiting map[int]chan Response
	gone    error
}

// NewRemote takes over a connection that [Serve] accepts at the other end.
func NewRemote(name string, conn net.Conn) *Remote {
	r := &Remote{Name: name, conn: conn, encoder: gob.NewEncoder(conn), waiting: make(map[int]chan Response)}
	go r.receive()
	return r
}

// End closes the connection, which kills the actor.
func (r *Remote) End() { r.conn.Close() }

func (r *Remote) receive() {
	decoder := gob.NewDecoder(r.conn)
	for {
		var response Response
		err := decoder.Decode(&response)
		r.mu.Lock()
		if err != nil {
			r.gone = err
			for _, answer := range r.waiting {
				close(answer)
			}
			r.waiting = nil
			r.mu.Unlock()
			return
		}
		r.waiting[response.Number] <- response
		delete(r.waiting, response.Number)
		r.mu.Unlock()
	}
}

// Call is a call that is under way.
type Call struct {
	remote *Remote
	number int
	answer chan Response
}

func (r *Remote) start(request Request) *Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	request.Number = r.last
	call := &Call{remote: r, number: request.Number, answer: make(chan Response, 1)}
	if r.gone != nil {
		close(call.answer)
		return call
	}
	r.waiting[request.Number] = call.answer
	r.encoder.Encode(request) // a failure ends receive too
	return call
}

// patience bounds the wait for an answer. It is shorter than the 30 s after which Linux asks again for a lock whose grant
// it has missed, so that a missing callback is found.
const patience = 20 * time.Second

func (c *Call) response() (Response, error) {
	select {
	case response, ok := <-c.answer:
		if !ok {
			return Response{}, fmt.Errorf("actor %s is gone", c.remote.Name)
		}
		if response.Errno != 0 {
			return response, syscall.Errno(response.Errno)
		}
		return response, nil
	case <-time.After(patience):
		return Response{}, fmt.Errorf("no answer after %v", patience)
	}
}

// Result waits for the end of the call.
func (c *Call) Result() error {
	_, err := c.response()
	return err
}

// Pending reports whether the call still waits.
func (c *Call) Pending() bool { return len(c.answer) == 0 }

// Interrupt sends a signal to the thread of the call.
func (c *Call) Interrupt() error {
	return c.remote.start(Request{Verb: Interrupt, Target: c.number}).Result()
}

// Open opens the file that all further calls are about.
func (r *Remote) Open(path string) error { return r.start(Request{Verb: Open, Path: path}).Result() }

// Close closes it.
func (r *Remote) Close() error { return r.start(Request{Verb: Close}).Result() }

// Lock sets, changes or (Unlocked) gives up a lock without waiting.
func (r *Remote) Lock(kind Kind, start, length int64) error {
	return r.start(Request{Verb: SetLock, Kind: kind, Range: Range{start, length}}).Result()
}

// Wait begins to wait for a lock.
func (r *Remote) Wait(kind Kind, start, length int64) *Call {
	return r.start(Request{Verb: WaitLock, Kind: kind, Range: Range{start, length}})
}

// Test asks what is in the way of a lock.
func (r *Remote) Test(kind Kind, start, length int64) (Kind, Range, error) {
	response, err := r.start(Request{Verb: TestLock, Kind: kind, Range: Range{start, length}}).response()
	return response.Kind, response.Range, err
}

// Flock locks or unlocks the whole file as flock(2) does, without waiting.
func (r *Remote) Flock(kind Kind) error {
	return r.start(Request{Verb: Flock, Kind: kind}).Result()
}

// Read reads from the file.
func (r *Remote) Read(start, length int64) ([]byte, error) {
	response, err := r.start(Request{Verb: Read, Range: Range{start, length}}).response()
	return response.Data, err
}

// Write writes to the file.
func (r *Remote) Write(start int64, data []byte) error {
	return r.start(Request{Verb: Write, Range: Range{Start: start}, Data: data}).Result()
}

// Leave ends the actor's process, which holds what it holds.
func (r *Remote) Leave() { r.start(Request{Verb: Leave}).Result() }
