package results

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

const kindChange = "change"

// ChangeKind is in what way something is otherwise than before.
type ChangeKind uint8

// The kinds of changes: of ports,
const (
	ChangeNone     ChangeKind = iota
	ChangeOpened              // open; before it was asked, and was not
	ChangeReopened            // open again: it was, some time ago
	ChangeFound               // open, and not asked before: since when is not known
	ChangeClosed              // no longer open: a RST says so
	ChangeGone                // no longer open: nothing comes back any more, or an ICMP error does
	ChangeShut                // no longer open, and what came back is not in the records
	ChangeService             // open as before, and something else answers
	ChangeUnknown             // it was open, and was not asked, or not while evidence held

	// and of hosts and networks, where single ports say nothing of their own.
	ChangeHostUp   // it answers again
	ChangeHostDown // none of its ports answers
	ChangeNetDark  // much of a network has stopped answering at once
	ChangeFlapping // it has changed too often to be told each time

	NumChangeKinds = iota // one more than the last
)

var changeKinds = [NumChangeKinds]string{"", "opened", "reopened", "found", "closed", "gone", "shut", "service", "unknown", "host-up", "host-down", "net-dark", "flapping"}

// String is the kind's name in records, for instance "host-down".
func (k ChangeKind) String() string {
	if k < NumChangeKinds {
		return changeKinds[k]
	}
	return ""
}

// Action is what the formats of others call it: "port-opened", "service-changed", "host-down".
func (k ChangeKind) Action() string {
	switch k {
	case ChangeHostUp, ChangeHostDown, ChangeNetDark:
		return k.String()
	case ChangeService:
		return "service-changed"
	}
	return "port-" + k.String()
}

// MarshalText writes the name.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse; the error is of a name that is not known.
func (k *ChangeKind) UnmarshalText(name []byte) error {
	i := slices.Index(changeKinds[:], string(name))
	if i <= 0 {
		return fmt.Errorf("unknown change %.40q", name)
	}
	*k = ChangeKind(i)
	return nil
}

// Change is something that one scan shows otherwise than those before. Zero fields are left out of the record.
type Change struct {
	Time     Time         `json:"ts"`                      // of what shows it
	ScanID   string       `json:"scan_id"`                 // of the scan in whose records it stands,
	First    string       `json:"first_scan_id,omitempty"` // and of the one that showed it first, where that is another one
	Change   ChangeKind   `json:"change"`
	Addr     netip.Addr   `json:"ip,omitzero"`
	Port     uint16       `json:"port,omitempty"`
	Proto    string       `json:"proto,omitempty"`   // "tcp", where there is a port
	Prefix   netip.Prefix `json:"prefix,omitzero"`   // of ChangeNetDark
	Vantage  string       `json:"vantage,omitempty"` // from where it is seen: the name of the scanner
	Hostname string       `json:"hostname,omitempty"`
	Before   string       `json:"before,omitempty"` // the state before: as port records have it, or "shut": not open, and more is not known
	After    string       `json:"after,omitempty"`
	// NotBefore and NotAfter are when it happened: behind the last moment at which it was seen to be as before, and before the first at which
	// it was seen to be as now.
	NotBefore *Time  `json:"not_before,omitempty"`
	NotAfter  *Time  `json:"not_after,omitempty"`
	Reason    string `json:"reason,omitempty"` // what it rests on: a Reason, or "handshake", or "banner"
	Confirmed bool   `json:"confirmed,omitempty"`
	Asked     int    `json:"asked,omitempty"` // probes that were sent to make sure
	// PFalse is how likely answers that all got lost explain it, by the loss that was measured; nil where that is not known.
	PFalse        *float64 `json:"p_false,omitempty"`
	Service       string   `json:"service,omitempty"`        // that answers now, or did last, where the server's first bytes show it
	ServiceBefore string   `json:"service_before,omitempty"` // of ChangeService
	Ports         int      `json:"ports,omitempty"`          // that changed with it, of a host or a network
	AckedBy       string   `json:"acked_by,omitempty"`       // who knows of it, where an inventory says so, and what they noted
	AckNote       string   `json:"ack_note,omitempty"`
	Tags          Tags     `json:"tags,omitempty"`
}

// Kind is "change".
func (c *Change) Kind() string { return kindChange }

// When is Time.
func (c *Change) When() Time { return c.Time }

// TagField is where its tags stand.
func (c *Change) TagField() *Tags { return &c.Tags }

// Message says it in words for people, without a full stop.
func (c *Change) Message() string {
	words := c.Change.String()
	switch {
	case c.Prefix.IsValid():
		words = fmt.Sprintf("%v %s", c.Prefix, words)
	case c.Addr.IsValid() && c.Port != 0:
		words = fmt.Sprintf("%v %d/tcp %s", c.Addr, c.Port, words)
	case c.Addr.IsValid():
		words = fmt.Sprintf("%v %s", c.Addr, words)
	}
	switch {
	case c.ServiceBefore != "":
		words += ": " + c.Service + ", before " + c.ServiceBefore
	case c.Before != "" && c.After != "":
		words += ": " + c.After + ", before " + c.Before
	}
	return words
}

// EventID of the change, which is the same however often the same change is told: of the endpoint, what it was and is, and the scan
// that shows it first.
func (c *Change) EventID() EventID {
	m := []byte(c.ScanID)
	if c.First != "" {
		m = appendWord(nil, cut(c.First, maxScanID))[1:]
	}
	m = append(m, "|change"...)
	m = append(appendWord(m, cut(c.Vantage, roomScanner)), '|')
	m = append(append(m, c.Change.String()...), '|')
	if c.Addr.IsValid() {
		m = c.Addr.AppendTo(m)
	}
	m = append(m, '|')
	if c.Prefix.IsValid() {
		m = c.Prefix.AppendTo(m)
	}
	m = append(m, "|tcp|"...)
	m = strconv.AppendUint(m, uint64(c.Port), 10)
	return newEventID(appendWord(appendWord(m, cut(c.Before, roomName)), cut(c.After, roomName)))
}

// AppendJSON appends the record as one JSON object of under 4 KB (see ScanStart.Fit), without a line end.
func (c *Change) AppendJSON(b []byte) ([]byte, error) {
	type body Change
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, kindChange, c.Time, c.ScanID, c.EventID().String()}, rest{(*body)(c.Fit())}})
}

// Fit is what it is of a ScanStart.
func (c *Change) Fit() *Change {
	fit := *c
	fit.First = cut(c.First, maxScanID)
	fit.Vantage, fit.Hostname = cut(c.Vantage, roomScanner), cut(c.Hostname, roomHostname)
	fit.AckedBy, fit.AckNote = cut(c.AckedBy, roomScanner), cut(c.AckNote, roomScanner)
	for _, word := range []*string{&fit.Proto, &fit.Before, &fit.After, &fit.Reason} {
		*word = cut(*word, roomName)
	}
	fit.Service, fit.ServiceBefore = cut(c.Service, roomService), cut(c.ServiceBefore, roomService)
	return &fit
}

const (
	roomHostname = 253 // as DNS has it
	roomService  = 250 // with what a banner says
)
