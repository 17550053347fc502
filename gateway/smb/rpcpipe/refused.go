package rpcpipe

import (
	"slices"
	"strings"
	"unicode/utf16"
)

// More results of calls ([MS-ERREF] 2.2).
const (
	resultAccessDenied     = 5
	resultNotSupported     = 50
	resultInvalidParameter = 87
	resultInvalidName      = 123
)

// forAdministrators answers an enumeration of who uses the server, as every server does to those who do not administer it: NetrConnectionEnum,
// NetrFileEnum and NetrSessionEnum ([MS-SRVS] 3.1.4.1, 3.1.4.2, 3.1.4.5). Here nobody does over SMB. texts is how many optional texts it takes
// besides the server's name; levels are those that exist.
func forAdministrators(texts int, levels ...uint32) func(*Server, *reader, *writer) {
	return func(_ *Server, in *reader, out *writer) {
		for range 1 + texts {
			in.skipText()
		}
		level, resume := in.enumeration()
		if in.bad {
			return
		}
		result := uint32(resultAccessDenied)
		if !slices.Contains(levels, level) {
			result = resultInvalidLevel
		}
		out.u32(level, level, 0, 0) // no container, no entries
		out.enumerated(resume, result)
	}
}

// Kinds of names that NetprNameValidate knows ([MS-SRVS] 3.1.4.26).
const (
	nameTypeFirst = 1
	nameTypeShare = 9
	nameTypeLast  = 13
	flagLANMan    = 0x80000000
)

// nameValidate is NetprNameValidate: whether a share could be named so. Of other kinds of names nothing is known here.
func nameValidate(_ *Server, in *reader, out *writer) {
	in.skipText()
	name, kind, flags := in.text(), in.u32(), in.u32()
	switch {
	case flags&^flagLANMan != 0 || kind < nameTypeFirst || kind > nameTypeLast:
		out.u32(resultInvalidParameter)
	case kind != nameTypeShare:
		out.u32(resultNotSupported)
	case !validShareName(name, flags):
		out.u32(resultInvalidName)
	default:
		out.u32(0)
	}
}

func validShareName(name string, flags uint32) bool {
	most := 80
	if flags&flagLANMan != 0 {
		most = 12
	}
	n := len(utf16.Encode([]rune(name)))
	return n > 0 && n <= most && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || strings.ContainsRune(`"/\[]:|<>+=;,?*`, r) })
}
