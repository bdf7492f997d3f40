package screen

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		840 * time.Millisecond: "800ms", 12400 * time.Millisecond: "12s", 200 * time.Second: "3m20s",
		49 * time.Hour: "49h0m0s", 240 * time.Hour: "10 days", 1 << 62: "146 years", Seconds(1e300): "100 years",
	} {
		if got := Clock(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}
