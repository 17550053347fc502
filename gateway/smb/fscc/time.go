package fscc

import (
	"math"

	"causeway"
)

// FileTime is a time in units of 100 ns since 1601 ([MS-FSCC] 2.1.1). Zero is no time.
type FileTime int64

// What a FILETIME in a SET_INFO can mean besides a time ([MS-FSCC] 2.4.7).
const (
	TimeKeep   FileTime = 0  // do not change it
	TimeFreeze FileTime = -1 // do not change it, and keep later operations on this handle from changing it
	TimeThaw   FileTime = -2 // let later operations on this handle change it again
)

const (
	epochDelta = 11644473600 // seconds from 1601 to 1970
	perSecond  = 10_000_000
)

// FileTimeOf converts, rounding down. What is before 1601 becomes 1 and what is beyond the last FILETIME becomes that, so that
// a time never turns into one of the special values. The zero Time is 1970, which files do have.
func FileTimeOf(t causeway.Time) FileTime {
	switch {
	case t.Sec < -epochDelta || t.Sec == -epochDelta && t.Nsec < 100:
		return 1
	case t.Sec >= math.MaxInt64/perSecond-epochDelta:
		return math.MaxInt64
	}
	return FileTime((t.Sec+epochDelta)*perSecond + int64(t.Nsec)/100)
}

// Time converts back. Zero and negative values, which are no times, become 1970: ask Special first.
func (f FileTime) Time() causeway.Time {
	if f <= 0 {
		return causeway.Time{}
	}
	return causeway.Time{Sec: int64(f)/perSecond - epochDelta, Nsec: uint32(int64(f)%perSecond) * 100}
}

// Special reports whether f says something else than a time: keep, freeze or thaw.
func (f FileTime) Special() bool { return f >= TimeThaw && f <= TimeKeep }

// Valid reports whether f may stand in a request: a time or a special value ([MS-FSA] 2.1.5.15.2).
func (f FileTime) Valid() bool { return f >= TimeThaw }

func appendTime(dst []byte, t causeway.Time) []byte {
	return le.AppendUint64(dst, uint64(FileTimeOf(t)))
}
