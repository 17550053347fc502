package undertaker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"causeway/cluster"
)

// Will is what shall be done when the process is dead.
type Will struct {
	cluster.Remains
	Addresses []netip.Addr  `json:"addresses"` // service addresses that the process has added to this machine
	Interface string        `json:"interface,omitempty"`
	Lifetime  time.Duration `json:"lifetime"` // of these addresses, at most
}

// maxLetter bounds a letter, in bytes.
const maxLetter = 256 << 10

// letter is what the gateway writes to the pipe: one per line, each replaces the one before.
type letter struct {
	Will
	Farewell bool `json:"farewell,omitempty"` // nothing is left to be done
}

// send writes a letter.
func send(w io.Writer, l letter) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if len(text) >= maxLetter {
		return fmt.Errorf("a letter of %d bytes", len(text))
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// receive hands letters to take until the pipe ends. What cannot be read ends it too: it was cut when the writer died.
func receive(r io.Reader, take func(letter)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4<<10), maxLetter)
	for lines.Scan() {
		var l letter
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			return
		}
		take(l)
	}
}
