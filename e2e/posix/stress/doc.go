// Package stress lets many processes work on one tree at once: each in a part of its own, whose content it knows and
// verifies, and all together in a shared part, where only the kind of answers is known. Sequences that can be repeated are
// package replay.
package stress
