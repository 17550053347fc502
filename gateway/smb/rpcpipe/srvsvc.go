package rpcpipe

import "strings"

// srvsvc is 4b324fc8-1670-01d3-1278-5a47bf6ee188 version 3.0 ([MS-SRVS] 1.9).
var srvsvc = &iface{
	name:   "srvsvc",
	syntax: syntax{[16]byte{0xc8, 0x4f, 0x32, 0x4b, 0x70, 0x16, 0xd3, 0x01, 0x12, 0x78, 0x5a, 0x47, 0xbf, 0x6e, 0xe1, 0x88}, 3},
	ops: map[uint16]func(*Server, *reader, *writer){
		8: forAdministrators(1, 0, 1), 9: forAdministrators(2, 2, 3), 12: forAdministrators(2, 0, 1, 2, 10, 502),
		15: shareEnum, 16: shareGetInfo, 21: serverGetInfo, 28: remoteTOD, 33: nameValidate, 36: shareEnum,
	},
}

// Results of calls ([MS-ERREF] 2.2, and 2.3 of the LAN Manager's).
const (
	resultInvalidLevel    = 124
	resultNetNameNotFound = 2310
	platformNT            = 500
	versionMajor          = 10 // what Windows 10 and later say
	versionMinor          = 0
	typeServer            = 0x1 | 0x2 | 0x1000 | 0x8000 // workstation, server, NT, NT server
	unlimited             = 0xFFFFFFFF
)

// shareFields writes the fields of a share at a level, false if there is no such level ([MS-SRVS] 2.2.4.22 ff). Paths are of no use to
// clients; "C:\name" satisfies those that want one.
func shareFields(w *writer, level uint32, s Share) bool {
	switch level {
	case 0:
		w.text(s.Name)
	case 1, 501:
		w.text(s.Name)
		w.u32(uint32(s.Type))
		w.text(s.Comment)
		if level == 501 {
			w.u32(s.Flags)
		}
	case 2, 502:
		w.text(s.Name)
		w.u32(uint32(s.Type))
		w.text(s.Comment)
		w.u32(0, unlimited, 0)
		w.text(`C:\` + s.Name)
		w.text("")
		if level == 502 {
			w.u32(0, 0) // no security descriptor of the share itself
		}
	case 1005:
		w.u32(s.Flags)
	default:
		return false
	}
	return true
}

// enumeration reads what all enumerations end with: an empty container of a level, the preferred size, and a handle for the rest.
func (r *reader) enumeration() (level uint32, resume bool) {
	level, union := r.u32(), r.u32()
	if r.u32() != 0 { // the container
		r.u32()
		if r.u32() != 0 { // an array where there is none yet
			r.bad = true
		}
	}
	r.u32() // preferred size
	if resume = r.u32() != 0; resume {
		r.u32()
	}
	r.bad = r.bad || level != union
	return level, resume
}

// enumerated ends the answer to an enumeration: nothing is left to resume.
func (w *writer) enumerated(resume bool, result uint32) {
	if resume {
		w.pointer(func() { w.u32(0) })
		w.flush()
	} else {
		w.u32(0)
	}
	w.u32(result)
}

// shareEnum is NetrShareEnum and NetrShareEnumSticky ([MS-SRVS] 3.1.4.8): all shares at once, whatever size the client prefers.
func shareEnum(s *Server, in *reader, out *writer) {
	in.skipText()
	level, resume := in.enumeration()
	if in.bad {
		return
	}
	shares, result := s.Shares(), uint32(0)
	if probe := (&writer{}); level == 1005 || !shareFields(probe, level, Share{}) {
		shares, result = nil, resultInvalidLevel
	}
	out.u32(level, level)
	out.pointer(func() {
		out.u32(uint32(len(shares)))
		out.pointer(func() {
			out.u32(uint32(len(shares)))
			for _, share := range shares {
				shareFields(out, level, share)
			}
		})
	})
	out.flush()
	out.u32(uint32(len(shares)))
	out.enumerated(resume, result)
}

// shareGetInfo is NetrShareGetInfo ([MS-SRVS] 3.1.4.10).
func shareGetInfo(s *Server, in *reader, out *writer) {
	in.skipText()
	name, level := in.text(), in.u32()
	if in.bad {
		return
	}
	for _, share := range s.Shares() {
		if strings.EqualFold(share.Name, name) {
			info(out, level, func() bool { return shareFields(out, level, share) })
			return
		}
	}
	out.u32(level, 0, resultNetNameNotFound)
}

// info writes a union of structures by level and the call's result.
func info(out *writer, level uint32, fields func() bool) {
	out.u32(level)
	start := len(out.b)
	ok := true
	out.pointer(func() { ok = fields() })
	out.flush()
	if !ok {
		out.b = out.b[:start]
		out.u32(0, resultInvalidLevel)
		return
	}
	out.u32(0)
}

// serverGetInfo is NetrServerGetInfo ([MS-SRVS] 3.1.4.17), levels 100 to 102.
func serverGetInfo(s *Server, in *reader, out *writer) {
	in.skipText()
	level := in.u32()
	info(out, level, func() bool {
		if level < 100 || level > 102 {
			return false
		}
		out.u32(platformNT)
		out.text(s.Name)
		if level == 100 {
			return true
		}
		out.u32(versionMajor, versionMinor, typeServer)
		out.text(s.Comment)
		if level == 102 {
			out.u32(unlimited, 15, 0, 240, 3000, 100000) // users, idle minutes, not hidden, announcements, licenses
			out.text(`C:\`)
		}
		return true
	})
}

// remoteTOD is NetrRemoteTOD ([MS-SRVS] 3.1.4.21): the time, in UTC.
func remoteTOD(s *Server, in *reader, out *writer) {
	in.skipText()
	now := s.Now().UTC()
	out.pointer(func() {
		out.u32(uint32(now.Unix()), uint32(now.UnixMilli()))
		out.u32(uint32(now.Hour()), uint32(now.Minute()), uint32(now.Second()), uint32(now.Nanosecond()/10_000_000))
		out.u32(0, 310) // minutes west of Greenwich; a tick in 0.1 ms
		out.u32(uint32(now.Day()), uint32(now.Month()), uint32(now.Year()), uint32(now.Weekday()))
	})
	out.flush()
	out.u32(0)
}
