package auto

// marks is how many ticks are remembered: some ten seconds.
const marks = 1024

// mark is a tick: what had been sent by then, and what the model took the queue for.
type mark struct {
	at    int64
	sent  float64 // packets, since the begin
	queue float64 // s
}

// history is what was sent when. It answers for any time that it reaches back to.
type history struct {
	all  [marks]mark
	n    int // marks made
	rate float64
}

func (h *history) newest() *mark { return &h.all[(h.n-1)%marks] }

func (h *history) add(m mark) {
	h.all[h.n%marks] = m
	h.n++
}

// at is the mark of a time, between two of which it lies on a line.
func (h *history) at(t int64) mark {
	first, last := max(0, h.n-marks), h.n-1
	if newest := &h.all[last%marks]; t >= newest.at {
		return mark{t, newest.sent + h.rate*seconds(t-newest.at), newest.queue}
	}
	for first < last { // the first mark that lies behind t
		if mid := (first + last) / 2; h.all[mid%marks].at <= t {
			first = mid + 1
		} else {
			last = mid
		}
	}
	b := &h.all[first%marks]
	if first == max(0, h.n-marks) {
		return *b
	}
	a := &h.all[(first-1)%marks]
	x := float64(t-a.at) / float64(max(b.at-a.at, 1))
	return mark{t, a.sent + x*(b.sent-a.sent), a.queue + x*(b.queue-a.queue)}
}

// clear says that no queue stood since a time.
func (h *history) clear(from int64) {
	for k := h.n - 1; k >= max(0, h.n-marks) && h.all[k%marks].at > from; k-- {
		h.all[k%marks].queue = 0
	}
}

// queueAt is the queue at a time, 0 where it is not remembered.
func (h *history) queueAt(t int64) float64 {
	if t <= h.all[max(0, h.n-marks)%marks].at {
		return 0
	}
	return h.at(t).queue
}

// over is the rate sent at on average since a time.
func (h *history) over(from, to int64) float64 {
	if to <= from {
		return h.rate
	}
	return (h.at(to).sent - h.at(from).sent) / seconds(to-from)
}

// most is the highest rate over two ticks in a row, of the last ten ticks. In the others the process may have stood still, or little was to be sent.
func (h *history) most(now int64) (rate float64) {
	for to := now; to > now-9*tick; to -= tick {
		rate = max(rate, h.over(to-2*tick, to))
	}
	return rate
}

func seconds(ns int64) float64 { return float64(ns) * 1e-9 }
