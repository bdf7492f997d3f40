package estimate

// Sum is what follows of a scan in parts that went different ways: each has a loss of its own. They are results of
// OfPart with as many parts as there can be.
//
// Missed ports add up, and so do the ends of their intervals: that the sum lies beyond an end takes one part at least
// beyond its own, the chance of which is tail/parts for each, so that it is tail at most for all (Bonferroni). Nothing is
// assumed of how the parts hang together, and the interval is wider than it had to be. The loss of the whole is the share
// of all attempts that were lost of those to positions that answer; it grows with the loss of each part, so that its
// ends are those where each part has its own.
//
// Of a part of which nothing is known, nothing is in the sum. Where one has lost more than its counts can say, there is none.
func Sum(parts []Result) Result {
	var sum Result
	var why Void
	var last *Result
	measured := 0
	for i := range parts {
		switch r := &parts[i]; {
		case r.Void == None:
			measured, last = measured+1, r
			sum.Missed.Value += r.Missed.Value
			sum.Missed.Low += r.Missed.Low
			sum.Missed.High += r.Missed.High
			sum.Answers += r.Answers
		case r.Void.worse():
			return Result{Void: r.Void}
		case why == None:
			why = r.Void
		}
	}
	switch measured {
	case 0:
		return Result{Void: why}
	case 1:
		return *last
	}
	sum.Loss.Value = lossOf(parts, func(r *Result) float64 { return r.Loss.Value })
	sum.Loss.Low = lossOf(parts, func(r *Result) float64 { return r.Loss.Low })
	sum.Loss.High = lossOf(parts, func(r *Result) float64 { return r.Loss.High })
	return sum
}

// lossOf is the loss of the whole where each part has the one given: of n answers at a loss p, n·p/(1−p) attempts were
// lost before.
func lossOf(parts []Result, loss func(*Result) float64) float64 {
	var answers, lost float64
	for i := range parts {
		r := &parts[i]
		if r.Void != None {
			continue
		}
		p := loss(r)
		if !(p < 1) {
			return 1
		}
		answers += r.Answers
		lost += r.Answers * p / (1 - p)
	}
	return lost / (answers + lost)
}

// worse tells a reason that speaks of more losses than are counted from one that speaks of nothing.
func (v Void) worse() bool {
	switch v {
	case FirstAttempts, LastingLoss, FirstContacts, EvidenceLost:
		return true
	}
	return false
}
