package results

import (
	"net/netip"
	"strconv"
)

// Mismatch is an endpoint of which a host and the network say different things. Zero fields are left out of the record.
type Mismatch struct {
	Time      int64 // when it was noticed, nanoseconds since the Unix epoch
	Kind      MismatchKind
	ScanID    string     // of the scan that saw the port
	Host      string     // the host's name
	Addr      netip.Addr // unspecified: of a socket that nothing but its port is known of
	Port      uint16
	NetNS     string // the inode of the network namespace that has the address, in decimal
	NetNSName string // its name, where it has one
	Seen      int64  // when the network saw the port open, likewise
	Unread    bool   // not all that could explain it could be looked at
	Why       string // what is known of it, a plain sentence for people without a full stop
}

// MismatchKind is what is the matter.
type MismatchKind string

// The kinds. What is explained is told, too, as something that no list of sockets shows.
const (
	SeenNotListening MismatchKind = "seen-not-listening" // the network saw it open, and nothing explains it
	HiddenSocket     MismatchKind = "hidden-socket"      // its port is taken by something that the kernel does not show
	SeenByDNAT       MismatchKind = "dnat"               // a rule of the firewall leads it elsewhere
	SeenByRedirect   MismatchKind = "redirect"           // the same, to another port of the host
	SeenByIPVS       MismatchKind = "ipvs"               // a virtual server of the kernel
	SeenByProxy      MismatchKind = "docker-proxy"       // a process that passes bytes on
	SeenBySKLookup   MismatchKind = "sk-lookup"          // a BPF program may give it to any socket
)

// Explained tells that something on the host says why the port is open.
func (m *Mismatch) Explained() bool { return m.Kind != SeenNotListening && m.Kind != HiddenSocket }

// Severity is "info" of what is explained, "critical" of what is not, and "high" where not all that could explain it could be looked at.
func (m *Mismatch) Severity() string {
	switch {
	case m.Explained():
		return "info"
	case m.Unread && m.Kind == SeenNotListening:
		return "high"
	}
	return "critical"
}

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end: texts that are too long end in "…".
func (m *Mismatch) AppendJSON(b []byte) []byte {
	b = appendHead(b, "mismatch", m.Time, m.EventID(), m.Host)
	b = appendText(b, "kind", string(m.Kind), roomName)
	b = appendText(b, "severity", m.Severity(), roomName)
	b = appendText(b, "scan_id", m.ScanID, maxScanID)
	b = append(b, `,"ip":"`...)
	b = append(m.Addr.WithZone("").AppendTo(b), '"')
	b = appendUint(b, "port", uint64(m.Port))
	b = append(b, `,"proto":"tcp"`...)
	b = appendText(b, "netns", m.NetNS, roomName)
	b = appendText(b, "netns_name", m.NetNSName, roomUnit)
	if m.Seen != 0 {
		b = append(b, `,"seen":"`...)
		b = append(AppendTime(b, m.Seen), '"')
	}
	return append(appendText(b, "why", m.Why, roomMessage), '}')
}

// EventID of the mismatch: the same one is the same every time.
func (m *Mismatch) EventID() EventID {
	w := appendWord(nil, cut(m.Host, roomHost))[1:]
	w = append(w, "|mismatch"...)
	w = appendWord(w, string(m.Kind))
	w = appendWord(w, (&Listener{NetNS: m.NetNS, NetNSName: m.NetNSName}).netns())
	w = append(appendWord(w, m.Addr.WithZone("").String()), '|')
	return newEventID(strconv.AppendUint(w, uint64(m.Port), 10))
}
