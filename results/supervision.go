package results

import (
	"encoding/json"
	"strconv"
)

// Supervision tells how fresh an inventory is that a monitor keeps: a record that comes at even times, so that silence in a receiver
// means that the monitor stands still.
type Supervision struct {
	Time        int64  // nanoseconds since the Unix epoch
	Vantage     string // from where it is seen
	Endpoints   uint64 // that are watched
	Ages        Ages
	Overdue     uint64  // endpoints that are older than their target
	BudgetPPS   float64 // probes per second that may be sent
	UsedPPS     float64 // and that were, since the last such record
	Tiers       []SupervisedTier
	Unconfirmed uint64  // endpoints in the confirm queue
	Unknown     uint64  // probes that count as not asked, since the monitor began
	Changes     uint64  // confirmed, since then
	Cycle       uint64  // whole cycles over all endpoints
	CycleDone   float64 // the part of the present one, 0 to 1
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
	Ages      Ages   `json:"age_s"`
	Overdue   uint64 `json:"overdue"`
}

// AppendJSON appends the record as one JSON object of under 4 KB, without a line end.
func (s *Supervision) AppendJSON(b []byte) []byte {
	fit := s.Fit()
	b = append(b, `{"v":1,"type":"supervision","ts":"`...)
	b = AppendTime(b, s.Time)
	b = append(b, `","event_id":"`...)
	b = fit.EventID().AppendTo(b)
	b = append(b, '"')
	b = appendText(b, "vantage", fit.Vantage, roomViewpoint)
	b = appendUint(b, "endpoints", s.Endpoints)
	b = appendJSONValue(b, "age_s", s.Ages)
	b = appendUint(b, "overdue", s.Overdue)
	b = appendThousandths(b, "budget_pps", s.BudgetPPS)
	b = appendThousandths(b, "used_pps", s.UsedPPS)
	b = appendJSONValue(b, "tiers", fit.Tiers)
	b = appendUint(b, "unconfirmed", s.Unconfirmed)
	b = appendUint(b, "unknown", s.Unknown)
	b = appendUint(b, "changes", s.Changes)
	b = appendUint(b, "cycle", s.Cycle)
	b = appendThousandths(b, "cycle_done", s.CycleDone)
	return append(b, '}')
}

// What a supervision has room for: see fit.go.
const (
	roomViewpoint  = 256
	mostSupervised = 8 // tiers
)

// Fit is the record, or a copy of it in which what is too long for its room is cut.
func (s *Supervision) Fit() *Supervision {
	fit := *s
	fit.Vantage = cut(s.Vantage, roomViewpoint)
	fit.Tiers = append([]SupervisedTier{}, s.Tiers[:min(len(s.Tiers), mostSupervised)]...)
	for i := range fit.Tiers {
		fit.Tiers[i].Tier = cut(fit.Tiers[i].Tier, roomName)
	}
	return &fit
}

// EventID of the record: of one vantage point there is one at a time.
func (s *Supervision) EventID() EventID {
	m := appendWord([]byte("supervision"), cut(s.Vantage, roomViewpoint))
	return newEventID(strconv.AppendInt(append(m, '|'), s.Time, 10))
}

// appendJSONValue appends a field of numbers and short texts.
func appendJSONValue(b []byte, name string, v any) []byte {
	encoded, _ := json.Marshal(v) // of these kinds, it always marshals
	b = append(append(append(b, `,"`...), name...), `":`...)
	return append(b, Harmless(unescaped(encoded))...)
}

// appendThousandths appends a finite number with three decimals at most.
func appendThousandths(b []byte, name string, v float64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendFloat(b, float64(int64(v*1000+0.5))/1000, 'f', -1, 64)
}
