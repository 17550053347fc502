// Package sparse holds bytes at any offset of a 64-bit space and takes memory only for pages that were written. It knows
// nothing of files: no size, no bound, no lock; its user has them.
package sparse

// PageSize is the unit of storage in bytes.
const PageSize = 4096

// Page is one unit of storage.
type Page [PageSize]byte

// Pages maps page numbers to pages; what has none is zeros. The map must be made before it is written to.
type Pages map[uint64]*Page

// Bytes returns the storage taken.
func (p Pages) Bytes() uint64 { return uint64(len(p)) * PageSize }

// Read fills dst with the bytes at off.
func (p Pages) Read(dst []byte, off uint64) {
	for len(dst) > 0 {
		at := off % PageSize
		n := int(min(uint64(len(dst)), PageSize-at))
		if pg := p[off/PageSize]; pg != nil {
			copy(dst[:n], pg[at:])
		} else {
			clear(dst[:n])
		}
		dst, off = dst[n:], off+uint64(n)
	}
}

// Missing counts the pages that a write of n bytes at off adds; off+n must not overflow.
func (p Pages) Missing(off, n uint64) (count uint64) {
	if n == 0 {
		return 0
	}
	for i := off / PageSize; i <= (off+n-1)/PageSize; i++ {
		if p[i] == nil {
			count++
		}
	}
	return count
}

// Write stores src at off.
func (p Pages) Write(src []byte, off uint64) {
	for len(src) > 0 {
		pg := p[off/PageSize]
		if pg == nil {
			pg = new(Page)
			p[off/PageSize] = pg
		}
		n := copy(pg[off%PageSize:], src)
		src, off = src[n:], off+uint64(n)
	}
}

// Zero makes [off, end) read as zeros and drops the pages that lie within.
func (p Pages) Zero(off, end uint64) {
	if end <= off {
		return
	}
	p.clearPart(off, end)
	if end/PageSize != off/PageSize {
		p.clearPart(end/PageSize*PageSize, end)
	}
	first, behind := off/PageSize, end/PageSize
	if off%PageSize != 0 {
		first++
	}
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
func (p Pages) clearPart(off, end uint64) {
	if pg := p[off/PageSize]; pg != nil {
		clear(pg[off%PageSize : min(PageSize, off%PageSize+end-off)])
	}
}

// Clone returns a copy that shares nothing.
func (p Pages) Clone() Pages {
	c := make(Pages, len(p))
	for i, pg := range p {
		copied := *pg
		c[i] = &copied
	}
	return c
}
