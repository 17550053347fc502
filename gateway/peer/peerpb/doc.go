// Package peerpb is the wire format between gateways, generated from peer.proto by `make generate`. Nothing but gateway/peer
// and its rooms uses it; gateway/peer/wire converts between it and the nouns.
package peerpb
