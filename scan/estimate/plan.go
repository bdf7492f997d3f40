package estimate

import "math"

// safety is how many times less than allowed Attempts plans to leave. What is left is random: where c
// positions may be missed and c/2 are expected, more than c are missed with probability 9 % for
// c = 1, 1.4 % for c = 10 and 0.02 % for c = 30. After two attempts it also covers a loss √2 times the
// measured one.
const safety = 2

// Attempts is how many attempts in all a position that stays silent needs, from 1 to limit (at least 1),
// so that the share of responsive positions missed is below 1−recall: the smallest k with
// 2·High^k ≤ 1−recall. It is limit where no k up to it suffices, as with a loss of which nothing is known.
func Attempts(loss Interval, recall float64, limit int) int {
	for k := 1; k < limit; k++ {
		if safety*math.Pow(loss.High, float64(k)) <= 1-recall {
			return k
		}
	}
	return max(limit, 1)
}

// Verdict says what sparing the silent positions that were not retried would cost.
type Verdict struct {
	Missed Interval // share of the responsive positions that would be missed, from 0 to 1
	Safe   bool     // the upper end is below 1−recall
}

// Sample judges a random sample of the silent positions. After one attempt at each position
// answered had answered and silent had not; of these, retried were drawn at random and probed once
// more, and found of them answered now. Nothing is Safe where answered or retried is 0.
//
// One attempt answers with 1−p, the next, of the share f = retried/silent, with p·f·(1−p): found
// among answered+found is binomial with odds p·f, which is Loss with two attempts.
func Sample(answered, silent, retried, found uint64, recall float64) Verdict {
	loss, ok := Loss([]Group{{2, []uint64{answered, found}}})
	if !ok || retried == 0 {
		return Verdict{Missed: unknown}
	}
	f := math.Min(1, float64(retried)/float64(silent))
	loss = Interval{math.Min(1, loss.Value/f), math.Min(1, loss.Low/f), math.Min(1, loss.High/f)}
	n := float64(answered) + float64(found)
	count := predict(loss, func(p float64) (s spread) {
		s.add(n, p*(1-f*(1-p)))
		return s
	})
	share := func(m float64) float64 {
		m = math.Min(m, float64(silent)-float64(found))
		return m / (n + m)
	}
	v := Verdict{Missed: Interval{share(count.Value), share(count.Low), share(count.High)}}
	v.Safe = v.Missed.High < 1-recall
	return v
}

// SampleShare is the smallest share of the silent positions, above 0 and at most 1, that must be
// retried so that Sample is Safe when none of them answers. About 3/(answered·(1−recall)) where
// that is small; for few answers it is 1, because nothing less can show so high a recall.
func SampleShare(answered uint64, recall float64) float64 {
	if answered == 0 || recall >= 1 {
		return 1
	}
	// None found bounds p·f by c; p·(1−f·(1−p)) = p·(1+c) − c must stay below 1−recall.
	c := math.Expm1(-math.Log(2*tail) / float64(answered))
	return math.Min(1, 1.0001*c*(1+c)/(c+1-recall))
}
