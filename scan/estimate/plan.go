package estimate

import "math"

// safety is how many times less than allowed Attempts plans to leave. What is left is random: where c
// positions may be missed and c/2 are expected, more than c are missed with probability 9 % for
// c = 1, 1.4 % for c = 10 and 0.02 % for c = 30. After two attempts it also covers a loss √2 times the
// measured one.
const safety = 2

// Attempts is how many attempts in all a position that stays silent needs, from 1 to limit (at least 1),
// so that the share of responsive positions missed is below 1−recall, for a loss of no more than so much: the
// smallest k with 2·lossᵏ ≤ 1−recall. It is limit where no k up to it suffices, as with a loss of which nothing is
// known.
func Attempts(loss, recall float64, limit int) int {
	for k := 1; k < limit; k++ {
		if safety*math.Pow(loss, float64(k)) <= 1-recall {
			return k
		}
	}
	return max(limit, 1)
}

// Sample judges a random sample of the silent positions: the share of the responsive ones that is to be expected to
// be missed if the rest were spared. After one attempt at each position answered had answered; of those that had not, the share
// f was drawn at random and asked once more, and found of them answered now.
//
// One attempt answers with 1−p, the next, of that share, with p·f·(1−p): so found/answered is p·f, and
// p·(1 − f·(1−p)) is missed. The ends are those of the mean of a Poisson count, by Wilson and Hilferty's cube root.
func Sample(answered, found uint64, f float64) Interval {
	if answered == 0 || !(f > 0) {
		return Interval{0, 0, 1}
	}
	share := func(found float64) float64 {
		p := math.Min(1, found/(float64(answered)*f))
		return p * (1 - f*(1-p))
	}
	x := float64(found)
	ends := func(x, z float64) float64 { return x * math.Pow(math.Max(0, 1-1/(9*x)+z/(3*math.Sqrt(x))), 3) }
	i := Interval{Value: share(x), High: share(3)} // the rule of three
	if found > 0 {
		i.Low, i.High = share(ends(x, -1.96)), share(ends(x+1, 1.96))
	}
	return i
}
