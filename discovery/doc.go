// Package discovery tells clients by DNS where the cluster's volumes are: the zone that a site delegates to the cluster, which every
// gateway answers for from what it knows of the others. What is answered is a pure function ([Zone.Answer]) of values ([View]) and a
// question; [Server] is the thin shell around it that speaks UDP and TCP.
//
// Not here: where the values come from (cluster/record, by way of cmd), how busy a gateway is (redirect/utilization), and clients that
// are mounted already (redirect): DNS steers new mounts only.
package discovery
