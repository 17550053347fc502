package names

import (
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"

	"causeway/gateway/smb/ntstatus"
)

// The wildcards ([MS-FSA] 2.1.4.4).
const (
	star    = '*' // any characters
	mark    = '?' // one character
	dosStar = '<' // any characters up to and with the last period
	dosMark = '>' // one character; none before a period or at the end
	dosDot  = '"' // a period, or none at the end
)

// Pattern selects names in a directory listing. It is immutable, and its Match may be called by many goroutines.
type Pattern struct {
	units   []uint16
	folding Folding
	all     bool
	name    string // without wildcards: the one stored name that is meant
}

// ParsePattern reads the search pattern of QUERY_DIRECTORY. An empty one means all. ObjectNameInvalid for what can be neither name nor
// pattern: longer than MaxUnits, a "\", "/", ":" or a control character; InvalidParameter for an odd length.
func ParsePattern(wire []byte, f Folding) (*Pattern, error) {
	units, err := Parse(wire, MaxPathBytes)
	if err != nil {
		return nil, err
	}
	if len(units) > MaxUnits {
		return nil, ntstatus.ObjectNameInvalid
	}
	p := &Pattern{folding: f, all: len(units) == 0 || len(units) == 1 && units[0] == star}
	wild := false
	for _, u := range units {
		switch {
		case u < 0x20 || u == '\\' || u == '/' || u == ':' || u == '|':
			return nil, ntstatus.ObjectNameInvalid
		case u < 0x80 && strings.IndexByte(`*?<>"`, byte(u)) >= 0:
			wild = true
		}
	}
	if !wild && len(units) > 0 {
		if p.name, err = Stored(units); err != nil {
			return nil, err
		}
	}
	p.units = p.fold(units)
	return p, nil
}

// Match reports whether a stored name is selected. Its time is bounded by the product of the lengths.
func (p *Pattern) Match(stored string) bool {
	if p.all {
		return true
	}
	if p.name != "" {
		return p.folding.Equal(p.name, stored)
	}
	if stored == "." || stored == ".." {
		return p.run(Units(stored))
	}
	return p.run(p.fold(Units(stored)))
}

// fold brings units to the form in which they are compared. Units stand for characters here: wildcards have no others than these in
// NTFS either.
func (p *Pattern) fold(units []uint16) []uint16 {
	if p.folding == Exact {
		return units
	}
	// Lone surrogates would not live through a string: what lies between them is composed piece by piece.
	var out []uint16
	for len(units) > 0 {
		n := 0
		for n < len(units) && units[n]&^0xFF != escapeFirst || n > 0 && n < len(units) && paired(units[n-1], units[n]) {
			n++
		}
		out = append(out, p.foldText(units[:n])...)
		for n < len(units) && units[n]&^0xFF == escapeFirst {
			out = append(out, units[n])
			n++
		}
		units = units[n:]
	}
	return out
}

func paired(high, low uint16) bool {
	return high >= 0xD800 && high < 0xDC00 && utf16.IsSurrogate(rune(low))
}

func (p *Pattern) foldText(units []uint16) []uint16 {
	ascii := true
	for _, u := range units {
		ascii = ascii && u < 0x80
	}
	if !ascii {
		units = utf16.Encode([]rune(norm.NFD.String(String(units))))
	} else {
		units = slices.Clone(units)
	}
	if p.folding == Insensitive {
		for i, u := range units {
			if !utf16.IsSurrogate(rune(u)) {
				units[i] = uint16(Upper(rune(u)))
			}
		}
	}
	if !ascii {
		units = utf16.Encode([]rune(norm.NFC.String(String(units))))
	}
	return units
}

// run moves the set of places in the pattern that the name read so far can have led to.
func (p *Pattern) run(name []uint16) bool {
	lastDot := len(name) - 1
	for lastDot >= 0 && name[lastDot] != '.' {
		lastDot--
	}
	var first, second [MaxUnits*3 + 1]bool // composing may lengthen a pattern, decomposed letters at most threefold
	if len(p.units) >= len(first) {
		return false
	}
	now, next := first[:len(p.units)+1], second[:len(p.units)+1]
	now[0] = true
	for i, c := range name {
		clear(next)
		live := false
		for k, u := range p.units {
			if !now[k] {
				continue
			}
			stay, step, skip := moves(u, c, i == lastDot)
			next[k] = next[k] || stay
			next[k+1] = next[k+1] || step
			now[k+1] = now[k+1] || skip
			live = live || stay || step || skip
		}
		if !live {
			return false
		}
		now, next = next, now
	}
	for k, u := range p.units {
		if now[k] && (u == star || u == dosStar || u == dosMark || u == dosDot) {
			now[k+1] = true
		}
	}
	return now[len(p.units)]
}

// moves says what character c of the name does at u of the pattern: it is consumed there and more may follow (stay), it is the
// last one consumed there (step), or u matches nothing before it (skip).
func moves(u, c uint16, lastDot bool) (stay, step, skip bool) {
	switch u {
	case star:
		return true, false, true
	case dosStar:
		return !lastDot, lastDot, true
	case mark:
		return false, true, false
	case dosMark:
		return false, c != '.', c == '.'
	case dosDot:
		return false, c == '.', false
	}
	return false, u == c, false
}
