package results

// Delivery is what one output has done with its records so far. Every record that the output was given
// is delivered, queued, held, dead or lost.
type Delivery struct {
	Output    string `json:"output"`    // as it was asked for: FORMAT:DEST
	Delivered uint64 `json:"delivered"` // records that the destination has taken
	Queued    uint64 `json:"queued"`    // not yet taken: in memory or on disk
	Held      uint64 `json:"held"`      // kept by a format that groups by host until the scan is over
	Retried   uint64 `json:"retried"`   // sent more than once, each time counted
	Spooled   uint64 `json:"spooled"`   // that went by way of the disk
	Dead      uint64 `json:"dead"`      // that the destination refused for good: they are in the dead-letter file
	// Lost records are nowhere: the output has failed, or was given up, and nothing keeps them. Error says why, cut to
	// its room.
	Lost  uint64 `json:"lost,omitempty"`
	Error string `json:"error,omitempty"`
}

// Undelivered is how many records have not arrived.
func (d *Delivery) Undelivered() uint64 { return d.Queued + d.Held + d.Dead + d.Lost }

// Deliverer is a Sink that counts.
type Deliverer interface {
	// Deliveries has one entry for each output; it may be called at any time from any goroutine.
	Deliveries() []Delivery
}
