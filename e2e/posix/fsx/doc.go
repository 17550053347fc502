// Package fsx exercises one file with random reads, writes, truncations and mappings and compares it with a model in
// memory. The seed determines everything. It knows one file and one process; many of them at once are package stress.
package fsx
