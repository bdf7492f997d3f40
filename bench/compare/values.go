package main

import (
	"fmt"
	"math"
	"slices"
)

// values are one figure over several runs.
type values []float64

// median is the middle value, of an even number the mean of the two in the middle; NaN of none.
func (v values) median() float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// ratio is how many times the median of a is that of b; NaN where one is not known or b is 0.
func ratio(a, b values) float64 {
	if len(a) == 0 || len(b) == 0 || b.median() == 0 {
		return math.NaN()
	}
	return a.median() / b.median()
}

// unknown stands in every table for a figure that nobody states.
const unknown = "–"

// spread writes a median and, where they differ when written, the smallest and the largest value.
func (v values) spread(format func(float64) string) string {
	if len(v) == 0 {
		return unknown
	}
	middle, low, high := format(v.median()), format(slices.Min(v)), format(slices.Max(v))
	if low == high {
		return middle
	}
	return fmt.Sprintf("%s (%s–%s)", middle, low, high)
}

// significant writes three digits, and all that precede the point: 0.0123, 1.23, 12.3, 1234.
func significant(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return unknown
	case a >= 100 || a == 0:
		return fmt.Sprintf("%.0f", x)
	default:
		return fmt.Sprintf("%.*f", min(6, max(0, 2-int(math.Floor(math.Log10(a))))), x)
	}
}

func seconds(x float64) string { return fmt.Sprintf("%.2f", x) }
func whole(x float64) string   { return thousands(uint64(math.Round(x))) }
func mebi(x float64) string    { return fmt.Sprintf("%.1f", x/(1<<20)) }

// share writes a recall: never 1 for what is less.
func share(x float64) string {
	s := fmt.Sprintf("%.4f", x)
	if x < 1 && s == "1.0000" {
		return "0.9999+"
	}
	return s
}

// times writes a ratio.
func times(x float64) string {
	if math.IsNaN(x) {
		return unknown
	}
	return significant(x) + "×"
}

// thousands writes 1234567 as 1,234,567.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
