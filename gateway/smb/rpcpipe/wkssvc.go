package rpcpipe

// wkssvc is 6bffd098-a112-3610-9833-46c3f87e345a version 1.0 ([MS-WKST] 1.9).
var wkssvc = &iface{
	name:   "wkssvc",
	syntax: syntax{[16]byte{0x98, 0xd0, 0xff, 0x6b, 0x12, 0xa1, 0x10, 0x36, 0x98, 0x33, 0x46, 0xc3, 0xf8, 0x7e, 0x34, 0x5a}, 1},
	ops:    map[uint16]func(*Server, *reader, *writer){0: wkstaGetInfo},
}

// wkstaGetInfo is NetrWkstaGetInfo ([MS-WKST] 3.2.4.1), levels 100 to 102.
func wkstaGetInfo(s *Server, in *reader, out *writer) {
	in.skipText()
	level := in.u32()
	info(out, level, func() bool {
		if level < 100 || level > 102 {
			return false
		}
		out.u32(platformNT)
		out.text(s.Name)
		out.text(s.Domain)
		out.u32(versionMajor, versionMinor)
		if level > 100 {
			out.text("")
		}
		if level == 102 {
			out.u32(0) // users logged on
		}
		return true
	})
}
