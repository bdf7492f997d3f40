package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const kindViolation = "violation"

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
	ScanID   string // of the scan that showed it first, or in whose records it stands; "" where it was no scan
	Opener   string // of the scan that showed it first, where ScanID is another one
	Again    int    // how often it has been opened before by the same scan, as when a policy was changed and changed back
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
	Policy   string // the name of the policy's file, "" where it is not known
	AckedBy  string // who knows of it, where an inventory says so, and what they noted
	AckNote  string
	Tags     Tags
}

// Rooms of a violation's texts, as in fit.go.
const (
	roomRule    = 200
	roomProgram = 300
)

// Kind is "violation".
func (v *Violation) Kind() string { return kindViolation }

// When is Time.
func (v *Violation) When() Time { return Time(time.Unix(0, v.Time)) }

// TagField is where its tags stand.
func (v *Violation) TagField() *Tags { return &v.Tags }

// Fit is what it is of a ScanStart.
func (v *Violation) Fit() *Violation {
	fit := *v
	fit.ScanID, fit.Opener = cut(v.ScanID, maxScanID), cut(v.Opener, maxScanID)
	fit.Status, fit.Want = cut(v.Status, roomName), cut(v.Want, roomName)
	fit.Rule, fit.Unit, fit.Exe = cut(v.Rule, roomRule), cut(v.Unit, roomRule), cut(v.Exe, roomProgram)
	fit.Service = cut(v.Service, roomWord)
	for _, name := range []*string{&fit.Vantage, &fit.Owner, &fit.Ticket, &fit.Policy, &fit.AckedBy, &fit.AckNote} {
		*name = cut(*name, roomScanner)
	}
	fit.Message = cut(v.Message, roomMessage)
	return &fit
}

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end: what is too long ends in "…".
func (v *Violation) AppendJSON(b []byte) ([]byte, error) {
	v = v.Fit()
	b = append(b, `{"v":1,"type":"violation","ts":"`...)
	b = append(AppendTime(b, v.Time), '"')
	b = appendText(b, "scan_id", v.ScanID, maxScanID)
	b = append(b, `,"event_id":"`...)
	b = append(v.EventID().AppendTo(b), '"')
	b = appendText(b, "rule", v.Rule, roomRule)
	b = appendText(b, "policy", v.Policy, roomScanner)
	b = append(v.AppendFields(b), `,"ip":"`...)
	b = append(v.Addr.AppendTo(b), '"')
	if v.Port != 0 {
		b = appendUint(b, "port", uint64(v.Port))
		b = append(b, `,"proto":"tcp"`...)
	}
	b = append(b, `,"first":"`...)
	b = append(AppendTime(b, v.First), '"')
	b = appendText(b, "message", v.Message, roomMessage)
	b = v.Tags.AppendField(b, "tags")
	return append(b, '}'), nil
}

// AppendFields appends those that other schemas have no place for, each behind a comma. It has to fit, see Fit.
func (v *Violation) AppendFields(b []byte) []byte {
	b = appendText(b, "first_scan_id", v.Opener, maxScanID)
	b = append(b, `,"violation_id":"`...)
	b = append(v.ID().AppendTo(b), '"')
	b = appendText(b, "status", v.Status, roomName)
	b = appendText(b, "severity", v.Severity.String(), roomName)
	b = appendText(b, "want", v.Want, roomName)
	b = appendText(b, "vantage", v.Vantage, roomScanner)
	b = appendText(b, "service", v.Service, roomWord)
	b = appendText(b, "unit", v.Unit, roomRule)
	b = appendText(b, "exe", v.Exe, roomProgram)
	b = appendText(b, "owner", v.Owner, roomScanner)
	b = appendText(b, "ticket", v.Ticket, roomScanner)
	if v.Again > 0 {
		b = appendUint(b, "again", uint64(v.Again))
	}
	b = appendUint(b, "age_s", uint64(max(v.Time-v.First, 0)/int64(time.Second)))
	b = v.Suspect.AppendField(b)
	if v.Ports != 0 {
		b = appendUint(b, "ports", uint64(v.Ports))
	}
	b = appendText(b, "acked_by", v.AckedBy, roomScanner)
	return appendText(b, "ack_note", v.AckNote, roomScanner)
}

// UnmarshalJSON is the inverse of AppendJSON.
func (v *Violation) UnmarshalJSON(line []byte) error {
	var r struct {
		Time     Time       `json:"ts"`
		ScanID   string     `json:"scan_id"`
		Opener   string     `json:"first_scan_id"`
		Again    int        `json:"again"`
		Status   string     `json:"status"`
		Rule     string     `json:"rule"`
		Policy   string     `json:"policy"`
		Severity string     `json:"severity"`
		Want     string     `json:"want"`
		Addr     netip.Addr `json:"ip"`
		Port     uint16     `json:"port"`
		Vantage  string     `json:"vantage"`
		Service  string     `json:"service"`
		Unit     string     `json:"unit"`
		Exe      string     `json:"exe"`
		Owner    string     `json:"owner"`
		Ticket   string     `json:"ticket"`
		First    Time       `json:"first"`
		Suspect  []string   `json:"suspect"`
		Ports    int        `json:"ports"`
		Message  string     `json:"message"`
		AckedBy  string     `json:"acked_by"`
		AckNote  string     `json:"ack_note"`
		Tags     Tags       `json:"tags"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	severity, suspect := ParseSeverity(r.Severity), Suspect(0)
	for _, name := range r.Suspect {
		one, err := parseSuspect(name)
		if err != nil {
			return fmt.Errorf("field \"suspect\": %w", err)
		}
		suspect |= one
	}
	switch {
	case severity == SeverityNone:
		return fmt.Errorf("field \"severity\": %.40q is not known", r.Severity)
	case !slices.Contains([]string{ViolationOpened, ViolationOngoing, ViolationClosed}, r.Status):
		return fmt.Errorf("field \"status\": %.40q is not known", r.Status)
	case !r.Addr.IsValid():
		return errors.New(`no field "ip"`)
	}
	*v = Violation{
		Time: time.Time(r.Time).UnixNano(), ScanID: r.ScanID, Opener: r.Opener, Again: r.Again, Status: r.Status, Rule: r.Rule, Policy: r.Policy, Severity: severity,
		Want: r.Want, Addr: r.Addr, Port: r.Port, Vantage: r.Vantage, Service: r.Service, Unit: r.Unit, Exe: r.Exe, Owner: r.Owner, Ticket: r.Ticket,
		First: time.Time(r.First).UnixNano(), Suspect: suspect, Ports: r.Ports, Message: r.Message, AckedBy: r.AckedBy, AckNote: r.AckNote, Tags: r.Tags,
	}
	return nil
}

// Action is what the formats of others call it: "violation-opened".
func (v *Violation) Action() string { return kindViolation + "-" + v.Status }

// ID is what all records of one violation share, whichever scan or status they are of.
func (v *Violation) ID() EventID { return newEventID(v.words(nil)) }

// EventID of the violation in its status: of what it is, and the scan that showed it first, whichever records it stands in.
func (v *Violation) EventID() EventID {
	m := v.words(append(appendWord(nil, cut(cmp.Or(v.Opener, v.ScanID), maxScanID))[1:], '|'))
	m = appendWord(m, v.Status)
	if v.Again > 0 {
		m = strconv.AppendUint(append(m, '|'), uint64(v.Again), 10)
	}
	return newEventID(m)
}

// words are what tells violations apart.
func (v *Violation) words(m []byte) []byte {
	m = append(m, kindViolation...)
	m = append(appendWord(m, cut(v.Rule, roomRule)), '|')
	m = append(v.Addr.AppendTo(m), '|')
	if v.Port != 0 {
		m = strconv.AppendUint(m, uint64(v.Port), 10)
	}
	return appendWord(m, cut(v.Vantage, roomScanner))
}
