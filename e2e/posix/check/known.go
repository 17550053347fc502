package check

// difference is a failed check that the protocol or the client explains, whatever the server does.
type difference struct {
	prefix string // of "test: message"
	reason string
}

// known lists the differences by protocol.
var known = map[string][]difference{
	"nfs3": {
		{"unlink/open: nlink after unlink", "the client renames an open file that is unlinked (silly rename)"},
		{"times/permission: utimensat of mtime alone", "SETATTR does not tell that the times were named one by one (RFC 1813 §2.6)"},
		{"times/far", "times are unsigned 32-bit seconds (RFC 1813 §2.6)"},
	},
}
