package results

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

const kindSupervision = "supervision"

// Supervision tells how fresh an inventory is that a monitor keeps: a record that comes at even times, so that silence in a receiver
// means that the monitor stands still.
type Supervision struct {
	Time        Time             `json:"ts"`
	ScanID      string           `json:"scan_id"` // of the monitor's run
	Vantage     string           `json:"vantage,omitempty"`
	Endpoints   uint64           `json:"endpoints"` // that are watched
	Ages        Ages             `json:"ages_s"`
	Overdue     uint64           `json:"overdue"`    // endpoints that are older than their target
	BudgetPPS   float64          `json:"budget_pps"` // probes per second that may be sent
	UsedPPS     float64          `json:"used_pps"`   // and that were, since the last such record
	Tiers       []SupervisedTier `json:"tiers"`
	Unconfirmed uint64           `json:"unconfirmed"` // endpoints in the confirm queue
	Unknown     uint64           `json:"unknown"`     // probes that count as not asked, since the monitor began
	Changes     uint64           `json:"changes"`     // confirmed, since then
	Cycle       uint64           `json:"cycle"`       // whole cycles over all endpoints
	CycleDone   float64          `json:"cycle_done"`  // the part of the present one, 0 to 1
	Tags        Tags             `json:"tags,omitempty"`
}

// Ages are seconds since endpoints were asked last: what half of them, and 99 of 100, do not exceed, and the highest.
type Ages struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// SupervisedTier is the part of the endpoints that are asked for one reason.
type SupervisedTier struct {
	Tier      string `json:"tier"` // open, predicted, cycle
	Endpoints uint64 `json:"endpoints"`
	Ages      Ages   `json:"ages_s"`
	Overdue   uint64 `json:"overdue"`
}

// Kind is "supervision".
func (s *Supervision) Kind() string { return kindSupervision }

// When is Time.
func (s *Supervision) When() Time { return s.Time }

// TagField is where its tags stand.
func (s *Supervision) TagField() *Tags { return &s.Tags }

// Message says it in words for people, without a full stop.
func (s *Supervision) Message() string {
	return fmt.Sprintf("%d ports are watched, %d of them asked too long ago; the oldest %d s ago", s.Endpoints, s.Overdue, s.Ages.Max)
}

// AppendJSON appends the record as one JSON object of under 4 KB (see ScanStart.Fit), without a line end.
func (s *Supervision) AppendJSON(b []byte) ([]byte, error) {
	type body Supervision
	type rest struct{ *body }
	return appendTyped(b, struct {
		typed
		rest
	}{typed{SchemaVersion, kindSupervision, s.Time, s.ScanID, s.EventID().String()}, rest{(*body)(s.Fit())}})
}

// mostSupervised is how many tiers a record has room for.
const mostSupervised = 8

// Fit is what it is of a ScanStart.
func (s *Supervision) Fit() *Supervision {
	fit := *s
	fit.Vantage = cut(s.Vantage, roomScanner)
	fit.Tiers = append([]SupervisedTier{}, s.Tiers[:min(len(s.Tiers), mostSupervised)]...)
	for i := range fit.Tiers {
		fit.Tiers[i].Tier = cut(fit.Tiers[i].Tier, roomName)
	}
	for _, v := range []*float64{&fit.BudgetPPS, &fit.UsedPPS, &fit.CycleDone} {
		if math.Abs(*v) < 1e12 { // larger ones have no thousandths
			*v = math.Round(*v*1000) / 1000
		}
	}
	return &fit
}

// EventID of the record: of one vantage point there is one at a time.
func (s *Supervision) EventID() EventID {
	m := appendWord([]byte(kindSupervision), cut(s.Vantage, roomScanner))
	return newEventID(strconv.AppendInt(append(m, '|'), time.Time(s.Time).UnixNano(), 10))
}
