package ratelimit

import (
	"errors"
	"math"
	"strings"
	"testing"
)

var parseCases = []struct {
	in   string
	want float64 // 0: an error
	why  string  // part of the error
}{
	{"1", 1, ""}, {"0.5", 0.5, ""}, {".5", 0.5, ""}, {"5.", 5, ""}, {"250000", 250000, ""},
	{"10k", 1e4, ""}, {"10K", 1e4, ""}, {"1.5M", 1.5e6, ""}, {"2m", 0, "not a number"}, {"0.001k", 1, ""},
	{"20M", 20e6, ""}, {"1G", 1e9, ""}, {"1.25g", 1.25e9, ""},
	{"0", 0, "zero"}, {"0.0", 0, "zero"}, {"0k", 0, "zero"}, {"000", 0, "zero"},
	{"-1", 0, "negative"}, {"-0.5M", 0, "negative"}, {"-x", 0, "negative"},
	{"", 0, "not a number"}, {"k", 0, "not a number"}, {".", 0, "not a number"}, {".k", 0, "not a number"},
	{"1.2.3", 0, "not a number"}, {"10kk", 0, "not a number"}, {"k10", 0, "not a number"}, {"1k5", 0, "not a number"},
	{"10T", 0, "not a number"}, {"10 k", 0, "not a number"}, {" 1", 0, "not a number"}, {"+1", 0, "not a number"},
	{"1e6", 0, "not a number"}, {"0x10", 0, "not a number"}, {"1_000", 0, "not a number"}, {"1,5", 0, "not a number"},
	{"010", 0, "leading zero"}, {"010k", 0, "leading zero"}, {"00.5", 0, "leading zero"}, {"0000100M", 0, "leading zero"}, {"10m", 0, "not a number"}, {"Inf", 0, "not a number"}, {"NaN", 0, "not a number"}, {"auto", 0, "not a number"},
	{strings.Repeat("9", 400), 0, "too large"}, {"1" + strings.Repeat("0", 305) + "G", 0, "too large"},
}

func TestParse(t *testing.T) {
	for name, f := range map[string]func(string) (float64, error){"rate": ParseRate, "bandwidth": ParseBandwidth} {
		for _, c := range parseCases {
			got, err := f(c.in)
			if math.Abs(got-c.want) > 1e-9*c.want || (err == nil) != (c.want > 0) {
				t.Errorf("%s %.20q: %v, %v; want %v", name, c.in, got, err, c.want)
			}
			if err == nil {
				continue
			}
			if !strings.HasPrefix(err.Error(), name) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%s %.20q: error %q does not say %q", name, c.in, err, c.why)
			}
			var hint interface{ Hint() string }
			if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "per second") && !strings.HasPrefix(hint.Hint(), "write ") {
				t.Errorf("%s %.20q: error %q has no hint", name, c.in, err)
			}
		}
	}
}

func TestPacketsPerSecond(t *testing.T) {
	for _, c := range []struct {
		bits  float64
		frame int
		want  float64
	}{
		{10e9, 54, 14_880_952.38}, {10e9, 60, 14_880_952.38}, {10e9, 0, 14_880_952.38},
		{10e9, 61, 10e9 / (85 * 8)}, {1e9, 1514, 81_274.38}, {672, 58, 1},
	} {
		if got := PacketsPerSecond(c.bits, c.frame); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%v bit/s, frame %d: %v, want %v", c.bits, c.frame, got, c.want)
		}
	}
}
