package results

import (
	"net/netip"
	"strconv"
	"time"
)

// Suspect is a set of reasons not to believe a host's open ports.
type Suspect uint8

const (
	// SYNACKAll: the host answers SYN-ACK on implausibly many ports, as SYN proxies and tarpits do.
	SYNACKAll Suspect = 1 << iota
	// Win0NoOpts: the SYN-ACK has window 0 and no options, as no TCP stack sends it that wants a connection.
	Win0NoOpts
)

// AppendField appends the set as the field "suspect" behind another field of a JSON object; an empty set
// appends nothing.
func (s Suspect) AppendField(b []byte) []byte {
	switch s {
	case 0:
		return b
	case SYNACKAll:
		return append(b, `,"suspect":["synack-all"]`...)
	case Win0NoOpts:
		return append(b, `,"suspect":["win0-noopts"]`...)
	}
	return append(b, `,"suspect":["synack-all","win0-noopts"]`...)
}

// String is the set in words.
func (s Suspect) String() string {
	return map[Suspect]string{SYNACKAll: "synack-all", Win0NoOpts: "win0-noopts", SYNACKAll | Win0NoOpts: "synack-all,win0-noopts"}[s]
}

// Host sums up what one address has answered.
type Host struct {
	Addr        netip.Addr
	MAC         MAC // of Addr, where it is on the scanner's link
	Hostname    string
	Hostnames   *Hostnames // where there are several
	Open        []uint16   // ascending; the first MaxHostPorts of them
	OpenCount   int
	ClosedCount int
	First, Last int64         // of the replies, nanoseconds since the Unix epoch
	RTT         time.Duration // median
	HasRTT      bool
	Suspect     Suspect
	Tags        Tags // what the user says about the address
}

// MaxHostPorts bounds the list of ports in a host record, so that its line stays under 4 KB.
const MaxHostPorts = 395

// AppendJSON appends the record as one JSON object without a line end.
func (h *Host) AppendJSON(b []byte, scanID string) []byte {
	b = append(b, `{"v":1,"type":"host","ts":"`...)
	b = AppendTime(b, h.Last)
	b = append(b, `","scan_id":`...)
	b = AppendString(b, scanID)
	b = append(b, `,"event_id":"`...)
	b = h.EventID(scanID).AppendTo(b)
	b = append(b, `","ip":"`...)
	b = h.Addr.AppendTo(b)
	b = append(b, '"')
	if h.Hostname != "" {
		b = append(b, `,"hostname":`...)
		b = AppendString(b, h.Hostname)
	}
	b = h.Hostnames.AppendFields(b)
	b = h.MAC.appendField(b)
	b = append(b, `,"open_ports":[`...)
	for i, p := range h.Open {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(p), 10)
	}
	b = append(b, ']')
	b = appendUint(b, "open", uint64(h.OpenCount))
	b = appendUint(b, "closed", uint64(h.ClosedCount))
	b = append(b, `,"first":"`...)
	b = AppendTime(b, h.First)
	b = append(b, `","last":"`...)
	b = AppendTime(b, h.Last)
	b = append(b, '"')
	if h.HasRTT {
		b = appendUint(b, "rtt_us", uint64(max(h.RTT, 0)/time.Microsecond))
	}
	b = h.Suspect.AppendField(b)
	return append(h.Tags.AppendField(b, "tags"), '}')
}
