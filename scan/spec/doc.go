// Package spec writes what a scan probes as a text that anybody can make again, and reads it. Call Write for the text, whose
// SHA-256 is the record's plan_digest, and Read for a Space, which knows where in the order of sending each probe stands.
//
// Ranges of addresses are ascending, IPv4 before IPv6, disjoint and merged where they touch, in the notation of netip.Addr; a
// range of one address has it twice. Each line ends in a line feed. First the addresses and the ports of the product, then for
// each port, ascending, the addresses that were given with it, then what is excluded:
//
//	synoptic plan 1
//	permutation 1
//	targets
//	10.0.0.0-10.0.0.255
//	ports
//	80-80
//	8000-8100
//	pairs 443
//	10.0.2.7-10.0.2.7
//	exclusions
//	10.0.0.64-10.0.0.127
//
// So the text does not depend on how or in which order targets, ports and exclusions were written, nor on seed, shard, pace or
// backend. Broadcast addresses that are left out are not in it.
package spec
