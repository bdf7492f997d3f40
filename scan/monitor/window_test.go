package monitor

import (
	"testing"
	"time"
)

func windowsOf(t *testing.T, zone, text string) Windows {
	t.Helper()
	c, err := Parse("", []byte("{version: 1, budget_pps: 1, max_age: 1d, time_zone: "+zone+", windows: ["+text+"]}"), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return c.Windows
}

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		zone, window string
		shut, open   []string // RFC 3339
	}{
		{"UTC", "{not: 08:00-18:00}", []string{"2026-11-27T08:00:00Z", "2026-11-27T17:59:59Z"}, []string{"2026-11-27T07:59:59Z", "2026-11-27T18:00:00Z"}},
		{"Europe/Berlin", "{not: 08:00-18:00, days: mon-fri}", []string{"2026-11-27T07:00:00Z", "2026-07-27T06:00:00Z"}, []string{"2026-11-27T17:00:00Z", "2026-11-28T12:00:00Z"}},
		// Across midnight it belongs to the day on which it begins: Friday night is shut, Thursday night is not.
		{"UTC", "{not: 22:00-06:00, days: fri}", []string{"2026-11-27T22:00:00Z", "2026-11-28T05:59:00Z"}, []string{"2026-11-27T05:00:00Z", "2026-11-28T06:00:00Z", "2026-11-28T22:00:00Z"}},
		{"UTC", "{not: 22:00-06:00, days: sat-mon}", []string{"2026-11-28T23:00:00Z", "2026-12-01T05:00:00Z"}, []string{"2026-11-28T05:00:00Z", "2026-12-01T22:00:00Z"}},
		{"UTC", "{not: 00:00-24:00, days: sun}", []string{"2026-11-29T00:00:00Z", "2026-11-29T23:59:00Z"}, []string{"2026-11-28T23:59:00Z", "2026-11-30T00:00:00Z"}},
		// Berlin, 25 October 2026: 02:00 to 03:00 comes twice, and is in the window both times.
		{"Europe/Berlin", "{not: 02:00-02:30}", []string{"2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z"}, []string{"2026-10-25T00:45:00Z", "2026-10-25T01:45:00Z", "2026-10-24T23:59:00Z"}},
		// 29 March 2026: 02:00 to 03:00 does not come.
		{"Europe/Berlin", "{not: 02:00-03:00}", nil, []string{"2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"}},
	} {
		w := windowsOf(t, c.zone, c.window)
		for i, times := range [][]string{c.shut, c.open} {
			for _, text := range times {
				at, err := time.Parse(time.RFC3339, text)
				if err != nil {
					t.Fatal(err)
				}
				if w.Open(at.UnixNano()) != (i == 1) {
					t.Errorf("%s in %s: open is %v at %s", c.window, c.zone, i == 0, text)
				}
			}
		}
	}
	if !(Windows{}).Open(0) {
		t.Error("no window, and shut")
	}
}

// The least open time of a span, by hand.
func TestLeast(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 34, 0, 0, time.UTC).UnixNano()
	for _, c := range []struct {
		zone, window string
		span, want   time.Duration
	}{
		{"UTC", "", time.Hour, time.Hour},
		{"UTC", "{not: 08:00-18:00}", 24 * time.Hour, 14 * time.Hour},
		{"UTC", "{not: 08:00-18:00}", 12 * time.Hour, 2 * time.Hour},
		{"UTC", "{not: 08:00-18:00}", time.Hour, 0},
		{"UTC", "{not: 08:00-18:00}, {not: 20:00-21:00, days: mon}", 24 * time.Hour, 13 * time.Hour},
		{"Europe/Berlin", "{not: 00:00-24:00, days: sun}", 48 * time.Hour, 24 * time.Hour},
	} {
		if got := windowsOf(t, c.zone, c.window).Least(c.span, now); got != c.want {
			t.Errorf("%s, %v: %v, want %v", c.window, c.span, got, c.want)
		}
	}
	before := time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC).UnixNano() // of the 25th, the window has 11 hours
	if got := windowsOf(t, "Europe/Berlin", "{not: 00:00-10:00}").Least(24*time.Hour, before); got != 13*time.Hour {
		t.Errorf("with clocks put back %v, want 13 hours", got)
	}
}
