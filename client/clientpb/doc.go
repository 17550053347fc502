// Package clientpb is the generated code of what aware clients and gateways say to each other. Nothing else belongs here: what the calls
// mean stands in client.proto, who answers them is gateway/aware, who makes them is client.
package clientpb
