package main

import (
	"math"
	"testing"
)

func TestMedianAndSpread(t *testing.T) {
	for _, c := range []struct {
		v      values
		median float64
		spread string
	}{
		{nil, math.NaN(), "–"},
		{values{3}, 3, "3.00"},
		{values{9, 1, 2}, 2, "2.00 (1.00–9.00)"},
		{values{4, 1, 2, 100}, 3, "3.00 (1.00–100.00)"},
		{values{2.001, 2.002, 2}, 2.001, "2.00"}, // not different when written
	} {
		got := c.v.median()
		if got != c.median && !(math.IsNaN(got) && math.IsNaN(c.median)) || c.v.spread(seconds) != c.spread {
			t.Errorf("%v: %v, %q", c.v, got, c.v.spread(seconds))
		}
	}
	v := values{3, 1, 2}
	v.median()
	if v[0] != 3 {
		t.Error("the median sorted the values of the runs")
	}
}

func TestRatio(t *testing.T) {
	if r := ratio(values{1, 30, 20}, values{5}); r != 4 {
		t.Errorf("20 to 5 is %v", r)
	}
	for _, r := range []float64{ratio(nil, values{1}), ratio(values{1}, nil), ratio(values{1}, values{0})} {
		if !math.IsNaN(r) || times(r) != unknown {
			t.Errorf("%v of what is not known", r)
		}
	}
}

func TestWrittenFigures(t *testing.T) {
	for got, want := range map[string]string{
		significant(0.012345): "0.0123", significant(1.2345): "1.23", significant(12.345): "12.3", significant(123.45): "123",
		significant(1234.5): "1234", significant(0): "0", significant(math.NaN()): "–",
		share(1): "1.0000", share(0.99999): "0.9999+", share(0.5): "0.5000",
		whole(1234567.4): "1,234,567", whole(999): "999", mebi(1.5 * (1 << 20)): "1.5", times(12.34): "12.3×",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
