// Package results holds what a scan finds: the record types with their encoding, written and read.
// A program that takes records implements Sink; one that has JSON lines calls NewReader.
package results

import "slices"

// State is what is known about a position: a set of bits, one for each kind of
// answer that has come. Zero is silent. It fills a slot of the map, so it has
// four bits; the BPF programs use the same values.
type State uint8

// The bits of a State. Of the answers, the lower outranks the higher.
const (
	Open     State = 1 << iota // the port accepts connections
	Closed                     // the host refuses: nothing listens
	Filtered                   // an error says that the probe did not get there
	Unknown                    // no answer, and silence says nothing: it was not asked, or not while evidence held

	answers = Open | Closed | Filtered
)

// Best returns the highest ranking answer in the set, open before closed before
// filtered, or 0.
func (s State) Best() State { return s & answers & -(s & answers) }

// Names are those of the answers in the set, and "unknown" if it is, the best first.
func (s State) Names() (all []string) {
	for bit := Open; bit <= Unknown; bit <<= 1 {
		if s&bit != 0 {
			all = append(all, bit.String())
		}
	}
	return all
}

// ParseStates is the inverse of Names; names that are not known are left out.
func ParseStates(names []string) (s State) {
	for bit := Open; bit <= Unknown; bit <<= 1 {
		if slices.Contains(names, bit.String()) {
			s |= bit
		}
	}
	return s
}

// String returns the best answer as records have it: "open", "closed" or
// "filtered". Where there is none it is "unknown", if silence says nothing,
// or else "silent".
func (s State) String() string {
	switch s.Best() {
	case Open:
		return "open"
	case Closed:
		return "closed"
	case Filtered:
		return "filtered"
	}
	if s&Unknown != 0 {
		return "unknown"
	}
	return "silent"
}
