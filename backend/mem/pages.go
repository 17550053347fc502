package mem

import "causeway"

// pageSize is the unit in which contents are stored; what was never written takes no page.
const pageSize = 4096

type page [pageSize]byte

// pages is the sparse content of a file. Bytes of a page behind the end of the file are zero.
type pages map[uint64]*page

func (p pages) bytes() uint64 { return uint64(len(p)) * pageSize }

// read fills dst with the bytes at off, zeros where there is no page.
func (p pages) read(dst []byte, off uint64) {
	for len(dst) > 0 {
		at := off % pageSize
		n := int(min(uint64(len(dst)), pageSize-at))
		if pg := p[off/pageSize]; pg != nil {
			copy(dst[:n], pg[at:])
		} else {
			clear(dst[:n])
		}
		dst, off = dst[n:], off+uint64(n)
	}
}

// missing counts the pages that a write of n bytes at off has to add.
func (p pages) missing(off, n uint64) (count uint64) {
	if n == 0 {
		return 0
	}
	for i := off / pageSize; i <= (off+n-1)/pageSize; i++ {
		if p[i] == nil {
			count++
		}
	}
	return count
}

// write stores src at off.
func (p pages) write(src []byte, off uint64) {
	for len(src) > 0 {
		pg := p[off/pageSize]
		if pg == nil {
			pg = new(page)
			p[off/pageSize] = pg
		}
		n := copy(pg[off%pageSize:], src)
		src, off = src[n:], off+uint64(n)
	}
}

// zero makes the span read as zeros and drops the pages that it covers.
func (p pages) zero(s causeway.Span) {
	end := s.End()
	p.clearPart(s.Offset, end)
	if end/pageSize != s.Offset/pageSize {
		p.clearPart(end/pageSize*pageSize, end)
	}
	first, behind := (s.Offset+pageSize-1)/pageSize, end/pageSize
	if behind <= first {
		return
	}
	if behind-first < uint64(len(p)) {
		for i := first; i < behind; i++ {
			delete(p, i)
		}
		return
	}
	for i := range p {
		if i >= first && i < behind {
			delete(p, i)
		}
	}
}

// clearPart zeroes what lies before end of the page that contains off, from off on.
func (p pages) clearPart(off, end uint64) {
	if pg := p[off/pageSize]; pg != nil {
		clear(pg[off%pageSize : min(pageSize, off%pageSize+end-off)])
	}
}
