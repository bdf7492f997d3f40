package beacon

import (
	"net/netip"
	"testing"
	"time"
)

// What the sentinel does a hundred times a second, Parts ten times, with a thousand beacons: while the path is up and loses
// one in fifty, and while all are lost.
func BenchmarkSentinel(b *testing.B) {
	s := New(1)
	now := int64(time.Second)
	for i := range keep {
		s.Offer(Target{Addr: netip.AddrFrom4([4]byte{10, byte(i / 256), byte(i), 1}), Port: 80}, true, now, time.Millisecond)
	}
	ask := func(answered func(i int) bool) {
		i := 0
		for range 400 {
			now += int64(TickStep)
			for _, t := range s.Next(nil, now, 2000) {
				s.Sent(t, now)
				if i++; answered(i) {
					s.Answered(t.Addr, t.Port, true, now+int64(time.Millisecond))
				}
			}
			s.Tick(now)
		}
	}
	var due []Target
	measure := func(state string) {
		for name, f := range map[string]func(){
			"Parts": func() { s.Parts(now) }, "Silent": func() { s.Silent(Expected{}) }, "Tick": func() { s.Tick(now) },
			"Next": func() { due = s.Next(due[:0], now, 2000) },
		} {
			b.Run(state+"/"+name, func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
		}
	}
	ask(func(i int) bool { return i%50 != 0 })
	measure("up")
	ask(func(int) bool { return false })
	measure("down")
}
