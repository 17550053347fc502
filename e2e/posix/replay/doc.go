// Package replay does a random sequence of operations that a seed determines, and describes what they answered and what
// tree they left. The same sequence through a mount and on a local file system must give the same description; comparing
// is the caller's work. Operations run one after the other: what many at once do is package stress.
package replay
