// Package dirs lists a large directory again and again while processes of this or another machine add and remove other
// names: what is there all the time must be listed exactly once.
package dirs
