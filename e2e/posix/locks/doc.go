// Package locks checks byte-range locks between processes on one or two machines. Actors are processes that hold a file
// open and do what they are told over a connection; scenarios are told to actors by the test and check their answers.
//
// A scenario states what POSIX says of fcntl locks, and holds on a local file system.
package locks
