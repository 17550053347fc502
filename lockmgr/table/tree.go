package table

// segment is one held range: a node of its object's tree for its mode. A tree is a treap ordered by (start, serial); every
// node knows the largest end below it, so that overlaps are found without looking at the rest.
type segment struct {
	extent
	owner       *owner
	object      *object
	serial      uint64 // unique
	stamp       uint64 // of its Held: of the table in which it was taken first
	left, right *segment
	maxEnd      uint64
}

func (s *segment) lock() Lock {
	return Lock{s.object.handle, s.owner.id, s.span(), s.exclusive}
}

func (s *segment) before(o *segment) bool {
	return s.start < o.start || s.start == o.start && s.serial < o.serial
}

// weight is the heap key: a hash of the serial, so that equal histories build equal trees.
func (s *segment) weight() uint64 {
	x := s.serial + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (s *segment) update() {
	s.maxEnd = s.end
	if s.left != nil && s.left.maxEnd > s.maxEnd {
		s.maxEnd = s.left.maxEnd
	}
	if s.right != nil && s.right.maxEnd > s.maxEnd {
		s.maxEnd = s.right.maxEnd
	}
}

// insert returns the root of the tree with s in it.
func insert(root, s *segment) *segment {
	if root == nil || s.weight() > root.weight() {
		s.left, s.right = split(root, s)
		s.update()
		return s
	}
	if s.before(root) {
		root.left = insert(root.left, s)
	} else {
		root.right = insert(root.right, s)
	}
	root.update()
	return root
}

// split parts a tree into what stands before s and what stands behind it.
func split(root, s *segment) (before, behind *segment) {
	if root == nil {
		return nil, nil
	}
	if root.before(s) {
		root.right, behind = split(root.right, s)
		before = root
	} else {
		before, root.left = split(root.left, s)
		behind = root
	}
	root.update()
	return before, behind
}

// remove returns the root of the tree without s.
func remove(root, s *segment) *segment {
	switch {
	case root == s:
		root = join(s.left, s.right)
		s.left, s.right = nil, nil
		return root
	case s.before(root):
		root.left = remove(root.left, s)
	default:
		root.right = remove(root.right, s)
	}
	root.update()
	return root
}

// join makes one tree of two, all of a before all of b.
func join(a, b *segment) *segment {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.weight() > b.weight():
		a.right = join(a.right, b)
		a.update()
		return a
	}
	b.left = join(a, b.left)
	b.update()
	return b
}

// each calls visit for the segments that overlap e, in order, until it returns false; it reports whether it never did.
func (s *segment) each(e extent, visit func(*segment) bool) bool {
	if s == nil || s.maxEnd <= e.start {
		return true
	}
	if !s.left.each(e, visit) {
		return false
	}
	if s.start >= e.end {
		return true
	}
	if s.end > e.start && !visit(s) {
		return false
	}
	return s.right.each(e, visit)
}
