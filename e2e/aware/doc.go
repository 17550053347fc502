// Package aware tests clusters of whole gateways with aware clients: programs that use causeway/client. Each way by which a client is moved
// or moves itself has a test of its name, and so has what must survive a move.
//
// What belongs here: what a program sees whose gateways are busy, drain or die. What does not: who decides (redirect), how stages are set
// (e2e/harness), how fast it is (e2e/bench).
package aware
