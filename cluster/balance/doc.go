// Package balance places volumes: a pure function from the records of nodes and volumes to the node that administers each
// volume. It does no I/O, reads no clock, draws no random numbers and keeps nothing between calls; reading the records, the lock
// under which the master computes, pausing and publishing are the cluster room's.
//
// # The measure
//
// The ideal capacity of a node is its share of the load: its weight / the weight of all active nodes × the weight of all volumes
// in whose domain some active node is. Its remaining capacity is what of that is left beside the volumes that it owns; negative if
// it owns more. All of it is kept times the weight of all active nodes, so that it is an integer and every comparison is exact. The
// imbalance of a plan is the sum of the absolute remaining capacities of all nodes: less is better.
//
// A node may own a volume if it is active, has the volume's domain, and is the volume's preferred node, or has its group, or the
// volume may migrate. A volume whose preferred node may own it belongs there and is not moved to even the load.
//
// # Cold start
//
// [Cold] forgets the present owners. Its steps, with the numbers of the patent document WO 99/53415 that the method comes from;
// before each step but the first, nodes are sorted by remaining capacity, descending, ties in the order of the step before:
//
//   - 1152: volumes go to their preferred nodes.
//   - 1158: layer by layer of the nodes' group priorities, each node takes volumes of that group, heaviest first, until it is full.
//   - 1160: volumes of groups that some node has, but found no room: by level of priority, round robin.
//   - 1162: volumes of groups that no node has: to nodes with room, until each is full.
//   - 1164: the rest, cyclically.
//
// Then, in place of the document's pairwise balancing ([Pairwise], step 1166), the plan is refined: of two nodes, the one with less
// room gives a volume to the other, or exchanges it for a lighter one, such that the two become as even as they can. In the
// continuous case a plan in which no pair can be improved has the least possible imbalance, whatever the domains and groups; volumes
// are not continuous, but exchanges make their grain fine.
//
// # Warm start
//
// [Warm] changes little. Owners that may own what they own keep it. Volumes fail back to their preferred nodes once these are
// settled. The homeless are placed: their group's node is taken if that costs no more imbalance than a move would have to gain.
// Then single volumes move from nodes that are too full to nodes with room, both outside the dead band, if the move gains a quarter of
// the volume's weight; and between any two nodes that are three bands apart
// ([Settings]). What a run moves, beside the homeless, is bounded by a budget; the rest is left for the next run. Every such move makes
// two nodes more even, so that the process ends, and a second run on the result of the first moves nothing. Now and then, or when an
// operator asks, a warm start with Settings.Thorough refines as the cold start does, under the same budget.
//
// Nodes and volumes are first sorted by name in natural order (CFN2 before CFN10): equal records give an equal plan whatever their
// order. A volume that no active node may own is reported with the reason, never dropped.
package balance
