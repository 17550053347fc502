// Package gonfs states, as tests, why go-nfs is a peer in benchmarks and differential runs and not the server
// (docs/adr/0004-our-own-server.md). Each test asks for something that a file server must do; the suite fails when go-nfs
// has learned it, so that the decision is looked at again.
package gonfs
