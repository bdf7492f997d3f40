package results

import (
	"net/netip"
	"strconv"
	"time"
)

// Port is the state of one TCP port of one address. Zero fields are left out of the record.
type Port struct {
	Time       int64 // of the deciding packet, nanoseconds since the Unix epoch
	Addr       netip.Addr
	Port       uint16
	Reason     Reason
	Hostname   string        // the name that the address was resolved from; of several, one that was asked for this port
	Hostnames  *Hostnames    // all of them, where there are several
	Service    string        // the best name that is known; ServiceSource says what it rests on
	TTL        uint8         // of the reply's IP header
	MAC        MAC           // of Addr, where it is on the link of the probe
	RTT        time.Duration // from the probe's send call to the reply's kernel timestamp
	HasRTT     bool          // RTT is known: replies older than the send-time table have none
	Attempt    uint8         // the attempt that was answered, from 1
	Window     uint16        // TCP window of a SYN-ACK
	MSS        uint16        // TCP maximum segment size option of a SYN-ACK
	Source     netip.Addr    // our address
	SourcePort uint16        // our port
	Iface      string        // the interface of the probe
	Router     netip.Addr    // the sender of an ICMP error
	Suspect    Suspect       // why not to believe that the port is open
	Verified   Verified      // whether a handshake could be completed
	Banner     []byte        // what the server said first, up to MaxBanner bytes
	Tags       Tags          // what the user says about the address
	Frame      []byte        // the deciding packet as captured, where an output keeps evidence; not in the record
	FrameLen   uint32        // bytes of that packet on the link: more than Frame has where it was cut
	Link       LinkType      // of Frame

	ServiceSource ServiceSource // where the name of the service is from
}

// LinkType says what a frame begins with.
type LinkType uint8

const (
	LinkEthernet LinkType = iota
	LinkRaw               // with the IP header: tun, ppp, wireguard
)

// Verified is the outcome of completing the handshake with an open port.
type Verified uint8

const (
	VerifyNone  Verified = iota // not tried
	VerifyTrue                  // a connection was made
	VerifyFalse                 // none could be made
)

// MaxFrame bytes of a deciding packet are kept, from its link header on.
const MaxFrame = 256

// MaxBanner bytes of a banner are kept.
const MaxBanner = 256

// Range is RFC 6335 section 6's class of the port number: system, user or dynamic.
func (p *Port) Range() string {
	switch {
	case p.Port < 1024:
		return "system"
	case p.Port < 49152:
		return "user"
	}
	return "dynamic"
}

// timeLayout is RFC 3339 with all nine digits, so that records sort as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// AppendJSON appends the record as one JSON object without a line end. It does not allocate unless
// b is too small or a name holds characters that JSON escapes.
func (p *Port) AppendJSON(b []byte, scanID string) []byte {
	return p.AppendJSONAs(b, scanID, p.EventID(scanID))
}

// AppendJSONAs is [Port.AppendJSON] for who has the record's ID at hand: it takes a hash.
func (p *Port) AppendJSONAs(b []byte, scanID string, id EventID) []byte {
	b = append(b, `{"v":1,"type":"port","ts":"`...)
	b = AppendTime(b, p.Time)
	b = append(b, `","scan_id":`...)
	b = AppendString(b, scanID)
	b = append(b, `,"event_id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","ip":"`...)
	b = p.Addr.AppendTo(b)
	b = append(b, `","port":`...)
	b = strconv.AppendUint(b, uint64(p.Port), 10)
	b = append(b, `,"proto":"tcp","state":"`...)
	b = append(b, p.Reason.Label()...)
	b = append(b, `","reason":"`...)
	b = append(b, p.Reason.String()...)
	b = append(b, '"')
	if p.Hostname != "" {
		b = append(b, `,"hostname":`...)
		b = AppendString(b, p.Hostname)
	}
	b = p.Hostnames.AppendFields(b)
	b = p.AppendService(b)
	b = append(b, `,"range":"`...)
	b = append(b, p.Range()...)
	b = append(b, '"')
	b = p.MAC.appendField(b)
	if p.Router.IsValid() {
		b = append(b, `,"router":"`...)
		b = p.Router.AppendTo(b)
		b = append(b, '"')
	}
	if p.TTL != 0 {
		b = appendUint(b, "ttl", uint64(p.TTL))
	}
	if p.HasRTT {
		b = appendUint(b, "rtt_us", uint64(max(p.RTT, 0)/time.Microsecond))
	}
	if p.Attempt != 0 {
		b = appendUint(b, "attempt", uint64(p.Attempt))
	}
	if p.Reason == SYNACK { // a window of 0 is a finding, not an absence
		b = appendUint(b, "window", uint64(p.Window))
	}
	if p.MSS != 0 {
		b = appendUint(b, "mss", uint64(p.MSS))
	}
	if p.Source.IsValid() {
		b = append(b, `,"src_ip":"`...)
		b = p.Source.AppendTo(b)
		b = append(b, '"')
	}
	if p.SourcePort != 0 {
		b = appendUint(b, "src_port", uint64(p.SourcePort))
	}
	if p.Iface != "" {
		b = append(b, `,"iface":`...)
		b = AppendString(b, p.Iface)
	}
	b = p.Suspect.AppendField(b)
	if p.Verified != VerifyNone {
		b = append(b, `,"verified":`...)
		b = strconv.AppendBool(b, p.Verified == VerifyTrue)
	}
	if len(p.Banner) > 0 {
		b = append(b, `,"banner":`...)
		b = AppendBanner(b, p.Banner)
	}
	return append(p.Tags.AppendField(b, "tags"), '}')
}
