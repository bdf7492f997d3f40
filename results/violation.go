package results

import (
	"net/netip"
	"strconv"
	"time"
)

// Severity is how grave a violation is.
type Severity uint8

// The severities, the gravest last. SeverityNone is none that somebody gave.
const (
	SeverityNone Severity = iota
	SeverityInfo
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical

	numSeverities
)

var severities = [numSeverities]string{"", "info", "low", "medium", "high", "critical"}

// String is the name in records; SeverityNone has none.
func (s Severity) String() string {
	if s < numSeverities {
		return severities[s]
	}
	return ""
}

// SeverityNames are the names of all severities, the gravest last.
func SeverityNames() []string { return severities[SeverityInfo:] }

// ParseSeverity is the inverse of String; SeverityNone where the name is not known.
func ParseSeverity(name string) Severity {
	for s := SeverityInfo; s < numSeverities; s++ {
		if severities[s] == name {
			return s
		}
	}
	return SeverityNone
}

// Violation.Status: a violation is opened by the first scan that shows it, ongoing in later ones, and closed by evidence that
// it is over. It has one violation_id all the time, and another event_id in each status.
const (
	ViolationOpened  = "opened"
	ViolationOngoing = "ongoing"
	ViolationClosed  = "closed"
)

// Violation.Want: what the policy wants of the endpoint.
const (
	WantShut    = "shut"    // nobody may listen there
	WantOpen    = "open"    // somebody must
	WantService = "service" // another service than the one that was identified,
	WantUnit    = "unit"    // another systemd unit,
	WantExe     = "exe"     // or another program
)

// Violation is an endpoint that is not as a policy wants it. Zero fields are left out of the record, but for the age.
type Violation struct {
	Time     int64  // of the newest observation that tells of it, nanoseconds since the Unix epoch
	ScanID   string // of the scan that showed it first; "" where it was no scan
	Status   string // ViolationOpened, …
	Rule     string // the name of the rule that decided, or one of those that a policy reserves
	Severity Severity
	Want     string // WantShut, …
	Addr     netip.Addr
	Port     uint16 // 0: it is about the whole host
	Vantage  string // the vantage point that it is seen from
	Service  string // what was identified there
	Unit     string // the systemd unit that listens, and its program, where that is known
	Exe      string
	Owner    string // who answers for the rule, or for the exception that has ended
	Ticket   string // of the exception that has ended
	First    int64  // since when it has been a violation, as far as is known; likewise nanoseconds
	Suspect  Suspect
	Ports    int    // of a host that opens everything: how many of its ports may not be open
	Message  string // a plain sentence for people, without a full stop
}

// Rooms of a violation's texts, as in fit.go.
const (
	roomRule    = 200
	roomProgram = 300
)

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end: what is too long ends in "…".
func (v *Violation) AppendJSON(b []byte) []byte {
	b = append(b, `{"v":1,"type":"violation","ts":"`...)
	b = append(AppendTime(b, v.Time), '"')
	b = appendText(b, "scan_id", v.ScanID, maxScanID)
	b = append(b, `,"event_id":"`...)
	b = v.EventID().AppendTo(b)
	b = append(b, `","violation_id":"`...)
	b = append(v.ID().AppendTo(b), '"')
	b = appendText(b, "status", v.Status, roomName)
	b = appendText(b, "rule", v.Rule, roomRule)
	b = appendText(b, "severity", v.Severity.String(), roomName)
	b = appendText(b, "want", v.Want, roomName)
	b = append(b, `,"ip":"`...)
	b = append(v.Addr.AppendTo(b), '"')
	if v.Port != 0 {
		b = appendUint(b, "port", uint64(v.Port))
		b = append(b, `,"proto":"tcp"`...)
	}
	b = appendText(b, "vantage", v.Vantage, roomScanner)
	b = appendText(b, "service", v.Service, roomWord)
	b = appendText(b, "unit", v.Unit, roomRule)
	b = appendText(b, "exe", v.Exe, roomProgram)
	b = appendText(b, "owner", v.Owner, roomScanner)
	b = appendText(b, "ticket", v.Ticket, roomScanner)
	b = append(b, `,"first":"`...)
	b = append(AppendTime(b, v.First), '"')
	b = appendUint(b, "age_s", uint64(max(v.Time-v.First, 0)/int64(time.Second)))
	b = v.Suspect.AppendField(b)
	if v.Ports != 0 {
		b = appendUint(b, "ports", uint64(v.Ports))
	}
	return append(appendText(b, "message", v.Message, roomMessage), '}')
}

// ID is what all records of one violation share, whichever scan or status they are of.
func (v *Violation) ID() EventID { return newEventID(v.words(nil)) }

// EventID of the violation in its status.
func (v *Violation) EventID() EventID {
	m := v.words([]byte(cut(v.ScanID, maxScanID) + "|"))
	return newEventID(appendWord(m, v.Status))
}

// words are what tells violations apart.
func (v *Violation) words(m []byte) []byte {
	m = append(m, "violation"...)
	m = append(appendWord(m, cut(v.Rule, roomRule)), '|')
	m = append(v.Addr.AppendTo(m), '|')
	if v.Port != 0 {
		m = strconv.AppendUint(m, uint64(v.Port), 10)
	}
	return appendWord(m, cut(v.Vantage, roomScanner))
}
