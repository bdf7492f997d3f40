package results

// Reason is the evidence for a state: the packet, or the lack of one, that decided it.
type Reason uint8

const (
	ReasonNone Reason = iota

	// What a raw probe was answered with.
	SYNACK
	RST
	ICMPNetUnreachable      // type 3 code 0
	ICMPHostUnreachable     // type 3 code 1
	ICMPProtocolUnreachable // type 3 code 2
	ICMPPortUnreachable     // type 3 code 3
	ICMPNetProhibited       // type 3 code 9
	ICMPHostProhibited      // type 3 code 10
	ICMPAdminProhibited     // type 3 code 13
	ICMPTTLExceeded         // type 11 code 0
	NoResponse
	NoARP // the on-link host has no link address: no probe was spent on it

	// What connect(2) said, for the unprivileged backend.
	Connect
	Refused
	Timeout
	HostUnreachable
	NetUnreachable
	AdminProhibited // EACCES or EPERM: a local or remote policy forbids the connection

	EvidenceLost // silent, but asked while nothing showed that an answer could have come

	numReasons
)

// reasons holds, per reason, its name in records, the bit it sets in the map, and whether the
// record says "unreachable" instead of "filtered": nobody there, as opposed to somebody who refuses.
var reasons = [numReasons]struct {
	name        string
	state       State
	unreachable bool
}{
	SYNACK:                  {"syn-ack", Open, false},
	RST:                     {"rst", Closed, false},
	ICMPNetUnreachable:      {"icmp-net-unreachable", Filtered, true},
	ICMPHostUnreachable:     {"icmp-host-unreachable", Filtered, true},
	ICMPProtocolUnreachable: {"icmp-protocol-unreachable", Filtered, false},
	ICMPPortUnreachable:     {"icmp-port-unreachable", Filtered, false},
	ICMPNetProhibited:       {"icmp-net-prohibited", Filtered, false},
	ICMPHostProhibited:      {"icmp-host-prohibited", Filtered, false},
	ICMPAdminProhibited:     {"icmp-admin-prohibited", Filtered, false},
	ICMPTTLExceeded:         {"icmp-ttl-exceeded", Filtered, true},
	NoResponse:              {"no-response", Filtered, false},
	NoARP:                   {"no-arp", Filtered, false},
	Connect:                 {"connect", Open, false},
	Refused:                 {"refused", Closed, false},
	Timeout:                 {"timeout", Filtered, false},
	HostUnreachable:         {"host-unreachable", Filtered, true},
	NetUnreachable:          {"net-unreachable", Filtered, true},
	AdminProhibited:         {"admin-prohibited", Filtered, false},
	EvidenceLost:            {"evidence-lost", Unknown, false},
}

// Known tells whether it is one of these: a number that was read may be none.
func (r Reason) Known() bool { return r > ReasonNone && r < numReasons }

// String is the reason's name in records, for instance "syn-ack".
func (r Reason) String() string { return reasons[r].name }

// State is the bit that the reason sets in the result map.
func (r Reason) State() State { return reasons[r].state }

// Label is the state's name in records: "open", "closed", "filtered", "unreachable" or "unknown".
func (r Reason) Label() string {
	if reasons[r].unreachable {
		return "unreachable"
	}
	return reasons[r].state.String()
}

// FromICMP is the reason that an ICMP error of this type and code gives (RFC 792, RFC 1122 section
// 3.2.2.1, RFC 1812 section 5.2.7.1), or ReasonNone where it says nothing about a TCP probe.
func FromICMP(icmpType, code uint8) Reason {
	switch {
	case icmpType == 11 && code == 0:
		return ICMPTTLExceeded
	case icmpType != 3:
		return ReasonNone
	}
	switch code {
	case 0:
		return ICMPNetUnreachable
	case 1:
		return ICMPHostUnreachable
	case 2:
		return ICMPProtocolUnreachable
	case 3:
		return ICMPPortUnreachable
	case 9:
		return ICMPNetProhibited
	case 10:
		return ICMPHostProhibited
	case 13:
		return ICMPAdminProhibited
	}
	return ReasonNone
}
