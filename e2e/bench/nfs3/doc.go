// Package nfs3 is the load generator's own view of ONC RPC, MOUNT v3 and NFSv3 over TCP: records are encoded once and
// patched, replies are judged where they lie in the receive buffer. It shares no code with the server, so that a
// misreading of a standard cannot hide on both sides. A slow synchronous Client for preparations is here too; what to
// send how fast is not (package load).
package nfs3
