package auto

// Config is what a controller starts with, in packets per second: 0 < Min ≤ Start ≤ Max. Start is what it goes at without any evidence.
type Config struct{ Start, Min, Max float64 }

// Decision is what holds until the next tick.
type Decision struct {
	Rate     float64 // packets per second, beacons included
	Beacons  float64 // how many of them a second are to be beacons
	Spread   bool    // they leave between probes, so as to share their fate, and not at once
	Focus    int     // how many beacons are to take turns, those that have answered first; 0: as many as the rate asks for
	Phase    Phase
	Limit    Limit
	Capacity float64 // what the path is believed to carry, in packets per second; 0: more than was tried, or not known
	Loss     float64 // share of beacons that is lost whatever the rate is
}

// Phase is what the controller is at.
type Phase uint8

// The phases.
const (
	Start  Phase = iota // the path has carried whatever was tried
	Cruise              // the capacity is known
	Test                // slower for a moment: is what is lost lost for our rate?
)

func (p Phase) String() string { return [...]string{"start", "cruise", "test"}[p] }

// Limit is why the rate is not higher.
type Limit uint8

// The limits.
const (
	Blind     Limit = iota // nothing has answered, so nothing is known
	Evidence               // it rises as fast as answers show that it may
	Maximum                // it is as high as it was allowed to be
	Queue                  // the path's capacity, as a queue before it shows
	Policed                // the path's capacity, as its losses show
	Interface              // the own interface, or the own processor
	Receiver               // the own receiver drops answers
	Contacts               // a table on the way that is too small for first contacts

	Limits = int(Contacts) + 1 // is how many there are
)

func (l Limit) String() string {
	return [...]string{"blind: no responder", "evidence", "maximum", "path capacity (queue)", "path capacity (policed)", "own interface", "own receiver", "first contacts"}[l]
}
