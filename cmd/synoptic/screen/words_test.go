package screen

import (
	"strings"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0s", 0: "0s", 3 * time.Microsecond: "1ms", 12 * time.Millisecond: "12ms", 840 * time.Millisecond: "840ms", 999499 * time.Microsecond: "999ms",
		3316 * time.Millisecond: "3.3s", 9960 * time.Millisecond: "10s", 12400 * time.Millisecond: "12s", 60 * time.Second: "1m", 200 * time.Second: "3m20s",
		time.Hour: "1h", 5*time.Hour + 12*time.Minute + 29*time.Second: "5h12m", 49 * time.Hour: "49h", 59*time.Minute + 59*time.Second + 600*time.Millisecond: "1h",
		240 * time.Hour: "10 days", 1 << 62: "146 years", Seconds(1e300): "100 years", 20 * time.Hour: "20h", 10 * time.Minute: "10m",
	} {
		if got := Clock(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}

// A round trip has no more digits than were measured.
func TestRoundTrip(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-5: "0 µs", 0: "0 µs", 999: "0 µs", 9 * time.Microsecond: "9 µs", 213 * time.Microsecond: "213 µs", 999999: "999 µs",
		time.Millisecond: "1.0 ms", 1234 * time.Microsecond: "1.2 ms", 12345 * time.Microsecond: "12 ms", 310 * time.Millisecond: "310 ms", 2345 * time.Millisecond: "2.3 s",
	} {
		if got := roundTrip(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}

// What is cut and filled up is measured in columns of a terminal, not in characters.
func TestColumns(t *testing.T) {
	for _, c := range []struct {
		text        string
		most        int
		cut, filled string
	}{
		{"host", 4, "host", "host"}, {"host", 3, "ho…", "host"}, {"host", 6, "host", "host  "}, {"host", 1, "…", "host"}, {"host", 0, "…", "host"}, {"host", -7, "…", "host"},
		{"", 2, "", "  "}, {"主机名", 6, "主机名", "主机名"}, {"主机名", 5, "主机…", "主机名"}, {"主机名", 4, "主…", "主机名"}, {"e\u0301e\u0301", 2, "e\u0301e\u0301", "e\u0301e\u0301"}, {"µs", 3, "µs", "µs "},
	} {
		if got := shorten(c.text, c.most); got != c.cut {
			t.Errorf("%q cut to %d is %q, want %q", c.text, c.most, got, c.cut)
		}
		if got := pad(c.text, c.most); got != c.filled {
			t.Errorf("%q filled up to %d is %q, want %q", c.text, c.most, got, c.filled)
		}
	}
}

// Lines are broken between words, at a terminal's width; a word that is too long is left whole.
func TestWrap(t *testing.T) {
	for _, c := range []struct {
		line            string
		columns, indent int
		want            string
	}{
		{"complete: 3 probes sent in 12ms", 0, 2, "complete: 3 probes sent in 12ms"},
		{"complete: 3 probes sent in 12ms", 31, 2, "complete: 3 probes sent in 12ms"},
		{"complete: 3 probes sent in 12ms", 30, 2, "complete: 3 probes sent in|  12ms"},
		{"complete: 3 probes sent in 12ms", 16, 2, "complete: 3|  probes sent in|  12ms"},
		{"targets    1 address × 3 ports = 3", 33, 11, "targets    1 address × 3 ports =|           3"},
		{"targets    1 address × 3 ports", 20, 11, "targets    1 address|  × 3 ports"},
		{"hint: /a/very/long/name/of/a/file/that/nobody/can/break", 20, 2, "hint:|  /a/very/long/name/of/a/file/that/nobody/can/break"},
		{"/a/very/long/name/of/a/file then", 10, 2, "/a/very/long/name/of/a/file|  then"},
		{"漢字 漢字 漢字", 9, 2, "漢字 漢字|  漢字"},
		{"a b", 1, 2, "a|  b"}, {"", 1, 2, ""}, {"ab", 2, 2, "ab"},
	} {
		got := wrap(c.line, c.columns, c.indent)
		if got != strings.ReplaceAll(c.want, "|", "\n") {
			t.Errorf("%q in %d: %q, want %q", c.line, c.columns, got, c.want)
		}
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(c.line), " ") {
			t.Errorf("%q in %d has lost something: %q", c.line, c.columns, got)
		}
	}
}
