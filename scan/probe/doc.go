// Package probe holds the bytes of a TCP SYN scan and nothing else: no socket,
// no clock, no state about targets. Both lanes of a scan call it per packet, so
// its per-packet functions neither allocate nor retain what they are given.
//
// The way out, for each probe:
//
//  1. Key.Hash       four-tuple → 64 bits of SipHash-2-4
//  2. Template.Fill  constant bytes, once for each slot of the send ring
//  3. Template.Patch destination, ports, sequence number, IP ID, checksums
//
// The way in, for each packet received:
//
//  1. Parse          headers → Reply, or a Verdict that says why not
//  2. Key.Genuine    proves that the Reply answers a probe of this scan
//
// The proof is the sequence number of the probe: the low half of the hash of
// its four-tuple. A host that saw the probe acknowledges it (SYN-ACK, RST) or
// quotes it (ICMP error); nobody else can guess it. Nothing about a probe is
// remembered to check it.
//
// The source port is part of the four-tuple, so the attempts of one target,
// which differ only in source port, have unrelated cookies and the port of a
// reply names the attempt that it answers.
package probe
