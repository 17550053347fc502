// Package workload has the things that servers are compared by: what a directory must hold, which calls are made, and how
// much work a reply completed. Preparations go around the server, straight to the directory, so that they neither cost it
// anything nor leave it anything in a cache that the next server would not have. How fast calls go out is package load's.
package workload
