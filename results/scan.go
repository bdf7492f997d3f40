package results

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"
)

// SchemaVersion is the field "v" of every record: it changes when a field changes its meaning.
const SchemaVersion = 1

// NewScanID draws 128 random bits in hex.
func NewScanID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand, Go 1.24
	return hex.EncodeToString(id[:])
}

// Time is a moment in a record: RFC 3339 in UTC with nanoseconds.
type Time time.Time

// MarshalJSON writes the moment with all nine digits.
func (t Time) MarshalJSON() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, `"`+timeLayout+`"`), nil
}

// Scope is the authorized address space that the targets were held against.
type Scope struct {
	File      string `json:"file"`
	SHA256    string `json:"sha256"`
	Addresses uint64 `json:"addresses"`
}

// ScanStart opens the stream: what is going to be asked, from where, how fast.
type ScanStart struct {
	Time          Time     `json:"ts"`
	ScanID        string   `json:"scan_id"`
	Version       string   `json:"version"`
	Scanner       string   `json:"scanner,omitempty"` // name of the host that scans
	Tags          Tags     `json:"tags,omitempty"`    // of the scan, and so of each of its records
	Args          []string `json:"args"`
	Targets       uint64   `json:"targets"`                 // addresses
	Excluded      uint64   `json:"excluded"`                // addresses asked for and left out
	Unrouted      uint64   `json:"unrouted,omitempty"`      // addresses asked for and left out, as there is no route to them
	Names         int      `json:"names,omitempty"`         // host names among the targets
	NamesSkipped  int      `json:"names_skipped,omitempty"` // of these, without an address that could be probed
	Ports         int      `json:"ports"`
	Show          []string `json:"show,omitempty"` // states of which every port has a record: of a port without one, that it has another
	Probes        uint64   `json:"probes"`         // positions of this scan or shard
	Shard         string   `json:"shard,omitempty"`
	Monitor       bool     `json:"monitor,omitempty"` // a piece of a monitor's stream, and no scan that ends with its plan
	Seed          uint64   `json:"seed"`
	PlanDigest    string   `json:"plan_digest,omitempty"` // SHA-256 in hex, as the two below: scan/plan's digest.go
	TargetsDigest string   `json:"targets_digest,omitempty"`
	PortsDigest   string   `json:"ports_digest,omitempty"`
	Rate          string   `json:"rate"` // probes per second
	Lanes         int      `json:"lanes,omitempty"`
	Backend       string   `json:"backend"`
	BackendReason string   `json:"backend_reason"`
	Iface         string   `json:"iface,omitempty"`
	Source        string   `json:"src_ip,omitempty"`
	Scope         *Scope   `json:"scope,omitempty"`
}

// Estimate is a figure with its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// ScanEnd closes the stream: what was done and how far it can be trusted.
type ScanEnd struct {
	Time          Time   `json:"ts"`
	ScanID        string `json:"scan_id"`
	Scanner       string `json:"scanner,omitempty"` // as in ScanStart
	Tags          Tags   `json:"tags,omitempty"`
	Probes        uint64 `json:"probes"`
	Sent          uint64 `json:"sent"`                    // accepted by the kernel
	Retransmitted uint64 `json:"retransmitted"`           // of these, second and later attempts
	Canaries      uint64 `json:"canary_probes,omitempty"` // besides
	Open          uint64 `json:"open"`
	Closed        uint64 `json:"closed"`
	Filtered      uint64 `json:"filtered"`    // with the silent ones: open+closed+filtered = positions settled
	NoResponse    uint64 `json:"no_response"` // of these, silent
	NoARP         uint64 `json:"no_arp"`      // of these, on-link without a link address, not probed
	Replies       uint64 `json:"replies"`     // genuine ones, duplicates included
	Duplicates    uint64 `json:"duplicates"`
	Outranked     uint64 `json:"outranked"` // genuine, but a better state was known
	Invalid       uint64 `json:"invalid"`   // packets to our ports that no probe of ours explains
	Late          uint64 `json:"late"`      // genuine, but their position had left the window
	TxErrors      uint64 `json:"tx_errors"`
	TxRetries     uint64 `json:"tx_retries"`            // back-pressure of the send path, waited out
	RxDrops       uint64 `json:"rx_drops"`              // replies that the kernel dropped before we read them
	IfaceDrops    uint64 `json:"iface_drops,omitempty"` // frames that the scan's interfaces lost before anybody could see them, replies or not
	// LossEstimate is the two-way loss, MissedOpen the open ports that no attempt found, both with
	// their 95 % intervals (docs/accuracy.md); nil where EstimateVoid says why.
	LossEstimate *Estimate `json:"loss_estimate,omitempty"`
	MissedOpen   *Estimate `json:"missed_open_estimate,omitempty"`
	EstimateVoid string    `json:"estimate_void,omitempty"`
	// EstimatePorts is how many ports the estimates speak of, where others were probed by a way whose loss is not known.
	EstimatePorts uint64    `json:"estimate_ports,omitempty"`
	Evidence      *Evidence `json:"evidence,omitempty"` // nil: the backend keeps none
	// NotVerified counts open ports without a verdict, where verification was asked for.
	NotVerified    uint64       `json:"not_verified,omitempty"`
	NotVerifiedWhy *NotVerified `json:"not_verified_why,omitempty"`

	// ExcludedLive are positions that were not probed, or not as often as asked for, because their addresses were
	// excluded while the scan ran. They lower Coverage.
	ExcludedLive uint64 `json:"excluded_live,omitempty"`

	Coverage      float64   `json:"coverage"`          // settled, or silent while evidence held / probes
	Covered       []Covered `json:"covered,omitempty"` // which positions these are, of each part that was begun
	Duration      float64   `json:"duration_s"`
	Paused        float64   `json:"paused_s,omitempty"`     // of Duration, while somebody had it paused
	PPS           float64   `json:"pps"`                    // probes of all phases / time spent sending, the resolution of addresses included and pauses not
	LimitedBy     string    `json:"limited_by,omitempty"`   // of an automatic rate: what has limited it for most of the time
	Capacity      float64   `json:"capacity_pps,omitempty"` // of an automatic rate: what the path is believed to carry
	Phases        []Phase   `json:"phases,omitempty"`
	Backend       string    `json:"backend"`
	BackendReason string    `json:"backend_reason"`
	Error         string    `json:"error,omitempty"`
	Complete      bool      `json:"complete"`
	// Outputs is how far each output had come when the record was made; Fit says what happens to many.
	Outputs []Delivery `json:"outputs,omitempty"`
}

// Phase is what a part of a scan took.
type Phase struct {
	Name     string  `json:"name"`
	Duration float64 `json:"duration_s"`
}

// AppendJSON appends the record as one JSON object of under 4 KB (see Fit), without a line end.
func (s *ScanStart) AppendJSON(b []byte) ([]byte, error) {
	type body ScanStart
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, "scan_start", s.Time, s.ScanID, s.EventID().String()}, rest{(*body)(s.Fit())}})
}

// AppendJSON appends the record as one JSON object of under 4 KB (see Fit), without a line end.
func (s *ScanEnd) AppendJSON(b []byte) ([]byte, error) {
	type body ScanEnd
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, "scan_end", s.Time, s.ScanID, s.EventID().String()}, rest{(*body)(s.Fit())}})
}

// typed is what every record begins with. The record's own ts and scan_id lie a level deeper, where
// encoding/json passes over names that it has seen.
type typed struct {
	V       int    `json:"v"`
	Type    string `json:"type"`
	Time    Time   `json:"ts"`
	ScanID  string `json:"scan_id"`
	EventID string `json:"event_id"`
}

func appendTyped(b []byte, v any) ([]byte, error) {
	line, err := json.Marshal(v)
	return append(b, Harmless(unescaped(line))...), err
}
