package monitor

import "math"

// gamma is what is known of a rate of changes λ per second: a gamma distribution of shape a and rate b in seconds, as if a
// changes had been seen in b seconds.
type gamma struct{ a, b float64 }

// expected is a belief that stands for so many changes.
func expected(lambda, weight float64) gamma { return gamma{weight, weight / lambda} }

// mean of λ.
func (g gamma) mean() float64 { return g.a / g.b }

// unchanged takes that nothing had changed after dt seconds, the likelihood of which is exp(−λ·dt): exact, as the prior is conjugate.
func (g *gamma) unchanged(dt float64) {
	g.b += dt
	g.forget()
}

// changed takes that something had changed after dt seconds, whenever in them: the likelihood is 1 − exp(−λ·dt), as in Upadhyay,
// Busa-Fekete, Kotłowski, Pál and Szörényi, "Learning to Crawl" (AAAI 2020, arXiv 1905.12781) and Avrachenkov, Patil and
// Thoppe, "Change Rate Estimation and Optimal Freshness in Web Page Crawling" (arXiv 2004.02167). The posterior is a difference of two gamma
// densities; the gamma of the same mean and variance takes its place. With x = ln(b/(b+dt)) its moments are
//
//	E[λ]  = a/b · (e^((a+1)x) − 1)/(e^(ax) − 1)
//	E[λ²] = a(a+1)/b² · (e^((a+2)x) − 1)/(e^(ax) − 1)
func (g *gamma) changed(dt float64) {
	x := -math.Log1p(max(dt, 1e-9) / g.b)
	one := math.Expm1(g.a * x)
	m1 := g.a / g.b * math.Expm1((g.a+1)*x) / one
	m2 := g.a * (g.a + 1) / (g.b * g.b) * math.Expm1((g.a+2)*x) / one
	if v := m2 - m1*m1; v > 0 {
		g.a, g.b = m1*m1/v, m1/v
	}
	g.forget()
}

const (
	// mostChanges is how many changes are remembered of a class: beyond, the older half counts half.
	mostChanges = 4096
	// longest is how long nothing is remembered to have happened, in seconds of all endpoints of a class together.
	longest = 1e13
)

// forget makes room for what comes: networks change their habits.
func (g *gamma) forget() {
	if g.a > mostChanges || g.b > longest {
		g.a, g.b = g.a/2, g.b/2
	}
}

// levels of λ are a factor √2 apart, from 2^−36 to 2^−4.5 per second: from once in 2,000 years to once in 23 s. f, which goes by √λ, is within 9 % of
// its best, which costs 0.4 % of the mean time to see a change at most.
const (
	levels     = 64
	leastPower = -36
)

// levelOf is the level of a rate of changes per second.
func levelOf(lambda float64) int {
	return int(min(max(math.Round(2*(math.Log2(lambda)-leastPower)), 0), levels-1))
}

// lambdaOf is the rate of a level.
func lambdaOf(level int) float64 { return math.Exp2(float64(level)/2 + leastPower) }
