// Package undertaker has a small second process watch a gateway's process and do what the dead one cannot: take the service addresses
// that it left off this machine, and end its membership of the cluster, so that others take over at once and need not wait for a
// lease to end.
//
// It is sure or it does nothing: it waits for the kernel to say that the process has ended, by a descriptor of that very process. A
// process that is stopped or hangs is not dead. It knows what to do from a pipe ([Will]); a gateway that ended in order says
// so there, and nothing is done.
//
// Not here: how a membership is ended (cluster.Bury), how an address is removed (cluster/address), flags.
package undertaker
