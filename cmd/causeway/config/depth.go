package config

import (
	"bytes"
	"fmt"
)

// Bounds of nesting. A configuration is four levels deep; the parser's time grows with the square of the levels and more, so
// that some kilobytes of brackets would keep it busy for minutes.
const (
	maxBrackets   = 64 // open at once, wherever they stand
	maxIndicators = 8  // "- " and "? " at the start of one line
)

// checkDepth returns an error for what is nested too deeply to be a configuration, with its line.
func checkDepth(text []byte) (line int, err error) {
	open := 0
	for l := range bytes.Lines(text) {
		line++
		for _, c := range l {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(open-1, 0)
			}
			if open > maxBrackets {
				return line, fmt.Errorf("more than %d brackets are open", maxBrackets)
			}
		}
		if indicators(l) > maxIndicators {
			return line, fmt.Errorf("more than %d lists begin in one line", maxIndicators)
		}
	}
	return 0, nil
}

// indicators counts the blocks that begin at the start of a line.
func indicators(line []byte) (n int) {
	for len(line) > 1 {
		switch {
		case line[0] == ' ' || line[0] == '\t':
			line = line[1:]
		case (line[0] == '-' || line[0] == '?' || line[0] == ':') && (line[1] == ' ' || line[1] == '\t'):
			n++
			line = line[2:]
		default:
			return n
		}
	}
	return n
}
