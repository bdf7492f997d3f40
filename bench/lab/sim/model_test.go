package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
)

// The model must be able to fail: a scan that agrees with it does not any more once anything of it is changed.
func TestModelSees(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	port := func(o *outcome, state results.State) *results.Port {
		for i := range o.records.All {
			if p := &o.records.All[i]; p.Reason.State() == state && p.Reason != results.NoResponse {
				return p
			}
		}
		t.Fatalf("no record is %v", state)
		return nil
	}
	retry := func(o *outcome) (first, second *Probe) {
		for i := range o.log.Probes {
			for j := range o.log.Probes[:i] {
				if p, q := &o.log.Probes[j], &o.log.Probes[i]; p.Addr == q.Addr && p.Port == q.Port && p.SourcePort != o.BeaconPort && q.SourcePort != o.BeaconPort {
					return p, q
				}
			}
		}
		t.Fatal("nothing was tried again")
		return nil, nil
	}
	for _, c := range []struct {
		what   string
		change func(*outcome)
	}{
		{"a record is missing", func(o *outcome) { o.records.All, o.records.Times = o.records.All[1:], o.records.Times[1:] }},
		{"a record comes twice", func(o *outcome) {
			o.records.All, o.records.Times = append(o.records.All, o.records.All[0]), append(o.records.Times, o.records.Times[0])
		}},
		{"a record without an answer", func(o *outcome) { port(o, results.Open).Port++ }},
		{"another state", func(o *outcome) { port(o, results.Closed).Reason = results.SYNACK }},
		{"another reason", func(o *outcome) {
			p := port(o, results.Filtered)
			p.Reason = map[bool]results.Reason{true: results.ICMPNetProhibited, false: results.ICMPHostProhibited}[p.Reason == results.ICMPHostProhibited]
		}},
		{"another time", func(o *outcome) { port(o, results.Open).Time++ }},
		{"another TTL", func(o *outcome) { port(o, results.Open).TTL++ }},
		{"another window", func(o *outcome) { port(o, results.Open).Window++ }},
		{"another MSS", func(o *outcome) { port(o, results.Open).MSS++ }},
		{"another attempt", func(o *outcome) { port(o, results.Open).Attempt++ }},
		{"another round trip", func(o *outcome) { port(o, results.Open).RTT += time.Millisecond }},
		{"another router", func(o *outcome) { port(o, results.Filtered).Router = netip.Addr{} }},
		{"a suspicion", func(o *outcome) { port(o, results.Open).Suspect ^= results.Win0NoOpts }},
		{"another suspicion", func(o *outcome) { port(o, results.Open).Suspect ^= results.SYNACKAll }},
		{"a host is missing", func(o *outcome) { o.records.Summaries = o.records.Summaries[1:] }},
		{"hosts out of order", func(o *outcome) { slices.Reverse(o.records.Summaries) }},
		{"a host's open port", func(o *outcome) { o.records.Summaries[0].OpenCount++ }},
		{"a host's closed port", func(o *outcome) { o.records.Summaries[0].ClosedCount++ }},
		{"a host's last answer", func(o *outcome) { o.records.Summaries[0].Last++ }},
		{"a host's round trip", func(o *outcome) { o.records.Summaries[0].RTT += time.Second }},
		{"a host's suspicion", func(o *outcome) { o.records.Summaries[0].Suspect ^= results.SYNACKAll }},
		{"one more sent", func(o *outcome) { o.records.Closing.Sent++ }},
		{"one more sent again", func(o *outcome) { o.records.Closing.Retransmitted++ }},
		{"one more open", func(o *outcome) { o.records.Closing.Open++ }},
		{"one more closed", func(o *outcome) { o.records.Closing.Closed++ }},
		{"one more filtered", func(o *outcome) { o.records.Closing.Filtered++ }},
		{"one less silent", func(o *outcome) { o.records.Closing.NoResponse-- }},
		{"one more reply", func(o *outcome) { o.records.Closing.Replies++ }},
		{"one more duplicate", func(o *outcome) { o.records.Closing.Duplicates++ }},
		{"one more outranked", func(o *outcome) { o.records.Closing.Outranked++ }},
		{"one more invalid", func(o *outcome) { o.records.Closing.Invalid++ }},
		{"one late", func(o *outcome) { o.records.Closing.Late++ }},
		{"one more error", func(o *outcome) { o.records.Closing.TxErrors++ }},
		{"one more drop", func(o *outcome) { o.records.Closing.RxDrops++ }},
		{"another loss", func(o *outcome) { o.records.Closing.LossEstimate.Value *= 1.01 }},
		{"no loss", func(o *outcome) { o.records.Closing.LossEstimate = nil }},
		{"missed more", func(o *outcome) { o.records.Closing.MissedOpen.High++ }},
		{"canaries", func(o *outcome) { o.records.Closing.Canaries++ }},
		{"coverage", func(o *outcome) { o.records.Closing.Coverage -= 0.001 }},
		{"not complete", func(o *outcome) { o.records.Closing.Complete = false }},
		{"no end", func(o *outcome) { o.records.Closing = nil }},
		{"no Flush", func(o *outcome) {
			o.records.Closing, o.records.flushed = nil, o.records.flushed.Add(-time.Second)
			_ = o.records.Flush()
			o.records.Closing = &results.ScanEnd{}
		}},
		{"a position was not tried", func(o *outcome) {
			first, _ := retry(o)
			a := netip.AddrPortFrom(first.Addr, first.Port)
			o.log.Probes = slices.DeleteFunc(o.log.Probes, func(p Probe) bool { return netip.AddrPortFrom(p.Addr, p.Port) == a })
		}},
		{"no target", func(o *outcome) { first, _ := retry(o); first.Port++ }},
		{"tried once more", func(o *outcome) {
			first, _ := retry(o)
			p := *first
			p.SourcePort += uint16(o.Attempts)
			p.At += time.Hour
			o.log.Probes = append(o.log.Probes, p)
		}},
		{"tried too soon", func(o *outcome) { first, second := retry(o); second.At = first.At + gapFloor - 1 }},
		{"the wrong attempt", func(o *outcome) { _, second := retry(o); second.SourcePort++ }},
		{"too fast", func(o *outcome) {
			for i := range o.log.Probes[:400] {
				o.log.Probes[i].At = time.Second
			}
		}},
		{"read too short", func(o *outcome) {
			a := o.log.Answers[0]
			for i := range o.log.Probes {
				if p := &o.log.Probes[i]; p.SourcePort != o.BeaconPort {
					a.Arrives = max(a.Arrives, p.At)
				}
			}
			a.Fate, a.Arrives = InFlight, a.Arrives+400*time.Millisecond
			o.log.Answers = append(o.log.Answers, a)
		}},
		{"never ends", func(o *outcome) { o.Ended += time.Minute }},
		{"told before it was tried again", func(o *outcome) {
			for i := range o.log.Answers {
				if a := &o.log.Answers[i]; a.Fate == Handed && a.SourcePort > o.log.Probes[0].SourcePort && a.SourcePort != o.BeaconPort {
					a.Handed = o.log.Probes[a.Probe].At - time.Second
				}
			}
		}},
	} {
		bubble.Test(t, func(t *testing.T) {
			o := everything().run(t, nil)
			if errs := o.check(); len(errs) > 0 {
				t.Fatalf("unchanged: %v", errs)
			}
			c.change(o)
			if errs := Check(&o.Scan, o.log, o.records); len(errs) == 0 {
				t.Errorf("%s: the model sees nothing", c.what)
			}
		})
	}
}

// everything is a scan that meets with all kinds of answers.
func everything() *drawn {
	d := draw(1)
	d.network = Config{
		Seed: 1, Routes: routes(false, false), Targets: Targets{Dead: 0.2, Open: 0.3, Closed: 0.2, Filtered: 0.2},
		Out: Leg{Delay: 20 * ms, Loss: 0.2}, Back: Leg{Delay: 20 * ms, Loss: 0.2},
	}
	d.targets, d.ports, d.stop, d.slow = []string{"10.0.0.0/28"}, nil, 0, 0
	for port := range uint16(40) {
		d.ports = append(d.ports, 100+port)
	}
	d.config = scanOfAll()
	return d
}
