package ratelimit

import (
	"errors"
	"strings"
	"testing"
)

// What people write for a rate or a bandwidth that is none: the hint has what they meant.
func TestGuess(t *testing.T) {
	for _, c := range []struct {
		in   string
		bits bool
		why  string // part of the error
		hint string
	}{
		{"10kpps", false, "not a number", "write 10k"}, {"10 kpps", false, "not a number", "write 10k"}, {"500pps", false, "not a number", "write 500"},
		{"10k/s", false, "not a number", "write 10k"}, {"1.5Mpps", false, "not a number", "write 1.5M"}, {"10m", false, "not a number", "write 10M"},
		{"2 M", false, "not a number", "write 2M"}, {"1T", false, "not a number", "write 1000G"},
		{"10Mbps", false, "a bandwidth, not a rate", "write Bandwidth 10M"}, {"100mbit", false, "a bandwidth", "write Bandwidth 100M"},
		{"1Gbit/s", false, "a bandwidth", "write Bandwidth 1G"}, {"10MB", false, "a bandwidth", "write Bandwidth 80M"},
		{"10,000", false, "not a number", "write 10000"}, {"1,000,000", false, "not a number", "write 1000000"}, {"10_000", false, "not a number", "write 10000"},
		{"10'000", false, "not a number", "write 10000"}, {"10 000", false, "not a number", "write 10000"}, {"1,5k", false, "not a number", "write 1.5k"},
		{"1e5", false, "not a number", "write 100000"}, {"1E6", false, "not a number", "write 1000000"}, {"2.5e3", false, "not a number", "write 2500"},
		{"max", false, "no largest rate", "write the packets"}, {"AUTO", false, "no largest rate", "write the packets"}, {"unlimited", true, "no largest rate", "write the bits"},
		{"10MB", true, "in bytes", "write 80M"}, {"1.5GB/s", true, "in bytes", "write 12G"}, {"10MBps", true, "in bytes", "write 80M"}, {"100Mbytes", true, "in bytes", "write 800M"},
		{"10Mbit", true, "not a number", "write 10M"}, {"10Mbps", true, "not a number", "write 10M"}, {"10m", true, "not a number", "write 10M"},
		{"100 Mbit/s", true, "not a number", "write 100M"}, {"10Mb", true, "not a number", "write 10M"}, {"10kpps", true, "a rate, not a bandwidth", "write Rate 10k"},
		{"010k", false, "leading zero", "write 10k"}, {"00.5M", true, "leading zero", "write 0.5M"}, {"010kpps", false, "not a number", "write 10k"},
		{"1_0", false, "not a number", "write 10"}, {"1_0k", true, "not a number", "write 10k"}, {"0010", true, "leading zero", "write 10"},
		{"1.2.3", false, "not a number", "give packets per second"}, {"k", true, "not a number", "give bits per second"}, {"fast!", false, "not a number", "give packets"},
		{"1e999", false, "not a number", "give packets"}, {"10kk", false, "not a number", "give packets"}, {"0kpps", false, "not a number", "give packets"},
	} {
		read := ParseRate
		if c.bits {
			read = ParseBandwidth
		}
		_, err := read(c.in)
		e, ok := errors.AsType[*RateError](err)
		if !ok || !strings.Contains(e.Error(), c.why) || !strings.HasPrefix(e.Hint(), c.hint) {
			t.Errorf("%q: %v, hint %q; want %q, %q", c.in, err, e.Hint(), c.why, c.hint)
			continue
		}
		if written, ok := strings.CutPrefix(e.Hint(), "write "); ok && !strings.HasPrefix(written, "the ") {
			if kind, size, ok := strings.Cut(written, " "); ok {
				read, written = map[string]func(string) (float64, error){"Rate": ParseRate, "Bandwidth": ParseBandwidth}[kind], size
			}
			if _, err := read(written); err != nil {
				t.Errorf("%q: what the hint says is refused: %v", c.in, err)
			}
		}
	}
}
