// Package cluster makes one file server of several gateways: the configuration database, membership, ownership of volumes with
// epochs, and the rebalance that moves them without losing a request.
//
// [Start] runs a gateway's part of it. The decisions are pure and live below: records and transactions in record, who owns and
// pauses what in ownership, certificates and tokens in pki. This package connects them to etcd (engine, database), to a clock
// that counts while the machine sleeps, and to the gateway by [Hooks].
//
// Not here: placement, which is handed in as a [Placer]; what a gateway does with a volume; service addresses.
package cluster
