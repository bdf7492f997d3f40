package rtt

import (
	"net/netip"
	"testing"
	"time"
)

// Time in which the process stood still is no waiting.
func TestAwake(t *testing.T) {
	now := time.Now()
	clock := NewAwake(now)
	for _, c := range []struct{ step, want time.Duration }{
		{0, 0}, {AwakeStep, AwakeStep}, {AwakeStep + time.Millisecond, 2*AwakeStep + time.Millisecond},
		{2 * time.Second, 4*AwakeStep + time.Millisecond}, {AwakeStep, 5*AwakeStep + time.Millisecond},
	} {
		now = now.Add(c.step)
		if got := clock.Look(now); got != c.want {
			t.Errorf("%v later: %v, want %v", c.step, got, c.want)
		}
	}
}

func TestCooldown(t *testing.T) {
	near, far := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.99.0.1")
	if prefixBucket(near) == prefixBucket(far) {
		t.Fatal("choose two addresses in different buckets")
	}
	const limit = 8 * time.Second
	var e Estimator
	if got := e.Cooldown(limit); got != CooldownBlind {
		t.Errorf("nothing answered: %v, want %v", got, CooldownBlind)
	}
	if got := e.Cooldown(time.Second); got != time.Second {
		t.Errorf("nothing answered, --wait 1s: %v", got)
	}
	for range 1000 {
		e.Observe(near, 200*time.Microsecond)
	}
	if got := e.Cooldown(limit); got != CooldownFloor {
		t.Errorf("a LAN: %v, want the floor %v", got, CooldownFloor)
	}
	for range 1000 { // one far host among many near replies must count
		e.Observe(near, 200*time.Microsecond)
		e.Observe(far, 600*time.Millisecond)
	}
	if got := e.Cooldown(limit); got != 2400*time.Millisecond {
		t.Errorf("a host 600 ms away: %v, want 2.4s", got)
	}
	e.Observe(netip.MustParseAddr("2001:db8::1"), time.Minute)
	if got := e.Cooldown(limit); got != limit {
		t.Errorf("a host a minute away: %v, want the limit %v", got, limit)
	}
	single := Estimator{}
	single.Observe(near, 100*time.Millisecond)
	single.Observe(near, 900*time.Millisecond)
	if got := time.Duration(single.largest.Load()); got != 200*time.Millisecond {
		t.Errorf("smoothed 100, 900 ms with gain 1/8: %v, want 200ms", got)
	}
}
