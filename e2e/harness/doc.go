// Package harness runs the built causeway binary against real clients on one machine: it makes networks of network
// namespaces, boots guests with a real Linux kernel client (User-mode Linux, about one second each), starts gateways in
// namespaces, runs commands in all of them and cleans up when the test ends, however it ends.
//
// What belongs here: everything that a black-box test needs to set a stage. What does not: expectations about the server,
// which live in the tests of package e2e, and programs that run in a guest's mount, which live in e2e/posix.
//
// All of it needs root on Linux and the packages of packages.txt; [Require] skips a test with a message that names what is
// missing. Namespaces have no names and processes die with the thread that started them, so that nothing outlives a test
// process that is killed.
package harness
