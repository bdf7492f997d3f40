package engine

import (
	"testing"

	"synoptic/results"
	"synoptic/scan/probe"
)

// Every reply that the parser accepts has a reason, and every reason of an ICMP error is reachable.
func TestReasonOfEveryReply(t *testing.T) {
	seen := map[results.Reason]bool{}
	for typ := range 256 {
		for code := range 256 {
			pkt := icmpError(byte(typ), byte(code))
			var r probe.Reply
			if probe.Parse(pkt, &r) != probe.Accepted {
				if results.FromICMP(byte(typ), byte(code)) != results.ReasonNone {
					t.Errorf("ICMP %d/%d has a reason and is not parsed", typ, code)
				}
				continue
			}
			if reason := reasonOf(&r); reason == results.ReasonNone {
				t.Errorf("ICMP %d/%d is parsed and has no reason", typ, code)
			} else {
				seen[reason] = true
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d reasons from ICMP, want 8", len(seen))
	}
}

// icmpError is an ICMP error (RFC 792) that quotes a SYN.
func icmpError(typ, code byte) []byte {
	ip := func(protocol byte, length int) []byte {
		return []byte{0x45, 0, 0, byte(length), 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	}
	pkt := append(ip(1, 56), typ, code, 0, 0, 0, 0, 0, 0)
	pkt = append(pkt, ip(6, 44)...)
	return append(pkt, 0xee, 0x48, 0, 80, 1, 2, 3, 4)
}
