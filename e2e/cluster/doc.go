// Package cluster tests clusters of whole gateways as their users see them: each gateway on a host of its own, with clients that
// send their calls again until they are answered, as a hard mount does, while gateways are killed, stopped, cut off and filled up.
//
// CAUSEWAY_E2E=long runs more and longer events, and holds the times that are promised. What belongs here: what happens when
// gateways come and go. What does not: what a single gateway must do (e2e), how stages are set (e2e/harness).
package cluster
