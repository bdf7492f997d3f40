package results

import (
	"net"
	"net/netip"
	"strconv"
)

// EventKind is what an event tells of.
type EventKind uint8

// The kinds of events.
const (
	EventNone           EventKind = iota
	EventOutage                   // evidence has ended: answers stay out where there were some, or the link says why
	EventResumed                  // evidence is back, and what was sent meanwhile is probed again
	EventNextHopChanged           // a next hop has another MAC address, or two that both answer
	EventLost                     // evidence did not come back: what belongs to the scope is unknown from then on
	EventLimited                  // something on the way limits what silence says

	// What is changed of the scan itself while it runs: by somebody,
	EventPaused    // nothing is sent any more
	EventContinued // a pause is over
	EventRate      // the rate is another one
	EventExcluded  // a prefix is not probed any more
	// or by itself.
	EventBackoff // a prefix has begun to refuse probes, and is sent fewer; with an End, as many as before again

	numEventKinds
)

var eventKinds = [numEventKinds]string{"", "outage", "resumed", "next-hop-changed", "lost", "limited", "paused", "continued", "rate", "excluded", "backoff"}

// String is the kind's name in records, for instance "next-hop-changed".
func (k EventKind) String() string {
	if k < numEventKinds {
		return eventKinds[k]
	}
	return ""
}

// Action is what the formats of others call it: "evidence-outage" what is about evidence, and "scan-paused" what is
// changed of the scan.
func (k EventKind) Action() string {
	if k >= EventPaused {
		return "scan-" + k.String()
	}
	return "evidence-" + k.String()
}

// ParseEventKind is the inverse of String; EventNone where the name is not known.
func ParseEventKind(name string) EventKind {
	for k := EventNone + 1; k < numEventKinds; k++ {
		if eventKinds[k] == name {
			return k
		}
	}
	return EventNone
}

// What an event is about: Event.Scope. The narrower fields say which interface, next hop, prefix or host.
const (
	ScopeAll       = "all"
	ScopeInterface = "interface"
	ScopeNextHop   = "next-hop"
	ScopePrefix    = "prefix"
	ScopeHost      = "host" // Prefix has one address
)

// Causes that are known by now; Event.Cause may have others.
const (
	CauseInterfaceGone  = "interface-gone"
	CauseInterfaceDown  = "interface-down"
	CauseNoCarrier      = "no-carrier"
	CauseAddressRemoved = "address-removed"
	CauseRouteChanged   = "route-changed"
	CauseNextHopSilent  = "next-hop-silent"  // it does not answer ARP or NDP
	CauseNextHopMoved   = "next-hop-moved"   // another MAC address answers for it
	CauseTwoNextHops    = "two-next-hops"    // two MAC addresses answer for one address
	CausePath           = "path"             // nothing on this host explains it: somewhere behind the next hop
	CauseFirstContacts  = "first-contacts"   // what answers answers on, but first probes to others get lost
	CauseControl        = "control"          // somebody who controls the scan wanted it
	CauseProhibited     = "admin-prohibited" // ICMP errors have taken the place of other answers
	CauseResets         = "resets"           // RSTs have taken the place of SYN-ACKs
	CauseRSTStorm       = "rst-storm"        // more RSTs come than probes leave
)

// Event is what happened to the evidence of a scan, or was changed of the scan itself. Zero fields are left out of the record.
type Event struct {
	Time       int64 // when it was noticed, nanoseconds since the Unix epoch
	Kind       EventKind
	Begin, End int64            // of what it tells, likewise; 0: not known, or it still lasts
	Scope      string           // ScopeAll …; the record's field is "extent", for "scope" is what is authorized
	Cause      string           // a short word for machines, in lower case, with hyphens: CauseNoCarrier …
	Iface      string           // the interface, where there is one
	NextHop    netip.Addr       // the next hop, likewise; a zone is left out, Iface says it
	Prefix     netip.Prefix     // the targets that it is about
	MAC        net.HardwareAddr // of the next hop, by now
	OldMAC     net.HardwareAddr // before, or of the other one that answers
	Again      uint64           // positions that are asked again
	Unknown    uint64           // positions whose state stays unknown
	Rate       uint64           // probes per second that Prefix gets from then on, rounded up; 0: as many as others
	Message    string           // a plain sentence for people, without a full stop
	Tags       Tags             // of the scan
}

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end: what is too long ends in
// "…". It does not allocate unless b is too small, or a text is too long or holds characters that JSON escapes.
func (e *Event) AppendJSON(b []byte, scanID string) []byte {
	return e.AppendJSONAs(b, scanID, e.EventID(scanID))
}

// AppendJSONAs is [Event.AppendJSON] for who has the record's ID at hand.
func (e *Event) AppendJSONAs(b []byte, scanID string, id EventID) []byte {
	b = append(b, `{"v":1,"type":"event","ts":"`...)
	b = AppendTime(b, e.Time)
	b = append(b, `","scan_id":`...)
	b = AppendString(b, scanID)
	b = append(b, `,"event_id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","event":"`...)
	b = append(b, e.Kind.String()...)
	b = append(b, '"')
	b = e.AppendFields(b)
	b = appendText(b, "message", e.Message, roomMessage)
	return append(e.Tags.AppendField(b, "tags"), '}')
}

// AppendFields appends the fields that only events have, but for the kind and the message, behind another field of a
// JSON object.
func (e *Event) AppendFields(b []byte) []byte {
	if e.Begin != 0 {
		b = append(b, `,"begin":"`...)
		b = append(AppendTime(b, e.Begin), '"')
	}
	if e.End != 0 {
		b = append(b, `,"end":"`...)
		b = append(AppendTime(b, e.End), '"')
	}
	b = appendText(b, "extent", e.Scope, roomWord)
	b = appendText(b, "cause", e.Cause, roomWord)
	b = appendText(b, "iface", e.Iface, roomIface)
	if e.NextHop.IsValid() {
		b = append(b, `,"next_hop":"`...)
		b = append(e.NextHop.WithZone("").AppendTo(b), '"')
	}
	if e.Prefix.IsValid() {
		b = append(b, `,"prefix":"`...)
		b = append(e.Prefix.AppendTo(b), '"')
	}
	b = appendMAC(b, "mac", e.MAC)
	b = appendMAC(b, "old_mac", e.OldMAC)
	if e.Again != 0 {
		b = appendUint(b, "again", e.Again)
	}
	if e.Unknown != 0 {
		b = appendUint(b, "unknown", e.Unknown)
	}
	if e.Rate != 0 {
		b = appendUint(b, "rate_pps", e.Rate)
	}
	return b
}

// Fit is the event, or a copy of it in which a text that is too long for its room ends in "…": see ScanStart.Fit.
func (e *Event) Fit() *Event {
	fit := *e
	fit.Scope, fit.Cause = cut(e.Scope, roomWord), cut(e.Cause, roomWord)
	fit.Iface, fit.Message = cut(e.Iface, roomIface), cut(e.Message, roomMessage)
	return &fit
}

// appendText appends a text as a field behind another one, unless it is empty.
func appendText(b []byte, name, text string, room int) []byte {
	if text == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return AppendString(b, cut(text, room))
}

// appendMAC appends an address of up to maxMAC bytes as net.HardwareAddr prints it, unless it is empty.
func appendMAC(b []byte, name string, mac net.HardwareAddr) []byte {
	const hexDigits = "0123456789abcdef"
	if len(mac) == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":"`...)
	for i, c := range mac[:min(len(mac), maxMAC)] {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return append(b, '"')
}

// maxMAC is the longest that net.ParseMAC reads: IP over InfiniBand, RFC 4391 section 9.1.1.
const maxMAC = 20

// EventID of the event in a scan. Two outages of one cause are told apart by when they were noticed.
func (e *Event) EventID(scanID string) EventID {
	var buf [320]byte
	m := append(buf[:0], scanID...)
	m = append(m, "|event|"...)
	m = append(m, e.Kind.String()...)
	m = append(m, '|')
	m = strconv.AppendInt(m, e.Time, 10)
	m = appendWord(m, cut(e.Scope, roomWord))
	m = appendWord(m, cut(e.Cause, roomWord))
	m = append(appendWord(m, cut(e.Iface, roomIface)), '|')
	if e.NextHop.IsValid() {
		m = e.NextHop.WithZone("").AppendTo(m)
	}
	m = append(m, '|')
	if e.Prefix.IsValid() {
		m = e.Prefix.AppendTo(m)
	}
	return newEventID(m)
}

// appendWord appends a word as it stands in the record, without its quotes.
func appendWord(m []byte, word string) []byte {
	m = append(m, '|')
	n := len(m)
	m = AppendString(m, word)
	return append(m[:n], m[n+1:len(m)-1]...)
}
