package ratesim

// kind is what happens.
type kind uint8

const (
	wakes   kind = iota // a sender's sleep is over
	ticks               // the controller and the beacons have their turn
	answers             // a probe's answer is in
	echoes              // a beacon's
)

// event is something that happens to a scan at a time.
type event struct {
	at      int64 // ns
	sent    int64 // of answers: when the probe left
	pos     uint32
	scan    uint8
	kind    kind
	attempt uint8
}

// events is a binary heap of values by time.
type events []event

func (h *events) push(e event) {
	q := append(*h, e)
	i := len(q) - 1
	for i > 0 {
		up := (i - 1) / 2
		if q[up].at <= e.at {
			break
		}
		q[i] = q[up]
		i = up
	}
	q[i] = e
	*h = q
}

func (h *events) pop() event {
	q := *h
	top, e := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	if len(q) == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(q) {
			break
		}
		if down+1 < len(q) && q[down+1].at < q[down].at {
			down++
		}
		if q[down].at >= e.at {
			break
		}
		q[i] = q[down]
		i = down
	}
	q[i] = e
	return top
}

// chance is splitmix64 (Steele, Lea, Flood, OOPSLA 2014): one word of state, and no lock.
type chance uint64

func (c *chance) word() uint64 {
	*c += 0x9e3779b97f4a7c15
	z := uint64(*c)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is uniform in [0, 1).
func (c *chance) unit() float64 { return float64(c.word()>>11) * 0x1p-53 }
