package inventory

import (
	"encoding/json"
	"net/netip"
	"time"

	"synoptic/results"
)

// intervalJSON is an Interval as commands write it.
type intervalJSON struct {
	Addr      netip.Addr    `json:"ip"`
	Port      uint16        `json:"port"`
	Proto     string        `json:"proto"`
	Vantage   string        `json:"vantage"`
	State     string        `json:"state"` // "open", or how it ended
	NotBefore *results.Time `json:"not_before,omitempty"`
	First     results.Time  `json:"first"`
	Last      results.Time  `json:"last"`
	Until     *results.Time `json:"until,omitempty"`
	Service   string        `json:"service,omitempty"`
	FirstScan string        `json:"first_scan"`
	UntilScan string        `json:"until_scan,omitempty"`
}

// MarshalJSON writes times as records have them, and leaves out what is not known.
func (i Interval) MarshalJSON() ([]byte, error) {
	optional := func(t time.Time) *results.Time {
		if t.IsZero() {
			return nil
		}
		at := results.Time(t)
		return &at
	}
	state := i.How
	if i.Open() {
		state = stateOpen
	}
	return json.Marshal(intervalJSON{
		Addr: i.Addr, Port: i.Port, Proto: "tcp", Vantage: i.Vantage, State: state, NotBefore: optional(i.NotBefore), First: results.Time(i.First),
		Last: results.Time(i.Last), Until: optional(i.Until), Service: i.Service, FirstScan: i.FirstScan, UntilScan: i.UntilScan,
	})
}
