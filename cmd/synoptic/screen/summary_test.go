package screen

import (
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/plan"
)

func TestHeldWords(t *testing.T) {
	for want, e := range map[string]results.Evidence{
		"evidence held: what answered did so to the end":                                                                                                   {},
		"evidence held: 1,204 of 1,210 probes to ports that had answered were answered again":                                                              {Asked: 1210, Answered: 1204},
		"evidence held: 28 of 40 probes to ports that had answered were answered again; 1 outage, 2.1s in all, after which 30,112 ports were probed again": {Asked: 40, Answered: 28, Outages: 1, Without: 2.1, Again: 30112},
	} {
		if got := heldWords(&e); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// The summary says what was sent and found; of loss, of silence and of what is missing only what is news.
func TestSummary(t *testing.T) {
	held := &results.Evidence{State: results.EvidenceStateHeld}
	found := results.ScanEnd{Complete: true, Sent: 20480, Duration: 21.04, Open: 4096, Closed: 1024, Filtered: 5120, NoResponse: 5120, Evidence: held}
	with := func(change func(*results.ScanEnd)) results.ScanEnd {
		end := found
		change(&end)
		return end
	}
	const line, silence = "complete: 20,480 probes sent in 21s, 4,096 open, 1,024 closed, 5,120 filtered (5,120 no response)", "|evidence held: what answered did so to the end"
	for name, c := range map[string]struct {
		end  results.ScanEnd
		want string
	}{
		"plain":      {found, line + silence},
		"changed":    {with(func(e *results.ScanEnd) { e.ExcludedLive, e.Paused = 1024, 75.2 }), line + silence + "|1,024 ports were not probed, or not as often as asked for: excluded while the scan ran; paused for 1m15s"},
		"paused":     {with(func(e *results.ScanEnd) { e.Paused = 3 }), line + silence + "|paused for 3s"},
		"no silence": {with(func(e *results.ScanEnd) { e.Filtered, e.NoResponse = 7, 0 }), "complete: 20,480 probes sent in 21s, 4,096 open, 1,024 closed, 7 filtered (0 no response)"},
		"no loss": {with(func(e *results.ScanEnd) {
			e.LossEstimate, e.MissedOpen = &results.Estimate{}, &results.Estimate{High: 2}
		}), line + silence},
		"loss": {with(func(e *results.ScanEnd) {
			e.LossEstimate, e.MissedOpen = &results.Estimate{Value: 0.098}, &results.Estimate{Value: 5, Low: 1.2, High: 9}
		}), line + silence + "|loss 9.8%, about 5 open missed of what was probed (95 % between 1 and 9)"},
		"stopped": {with(func(e *results.ScanEnd) {
			e.Complete = false
			e.LossEstimate, e.MissedOpen = &results.Estimate{}, &results.Estimate{}
		}), "stopped before the end" + line[len("complete"):] + silence},
		"evidence lost": {with(func(e *results.ScanEnd) {
			e.Complete, e.Evidence = false, &results.Evidence{State: results.EvidenceStateLost}
		}), "not complete" + line[len("complete"):]},
		"one attempt":    {with(func(e *results.ScanEnd) { e.EstimateVoid = "single-attempt" }), line + silence},
		"connect":        {with(func(e *results.ScanEnd) { e.EstimateVoid = "unmeasured" }), line + silence},
		"nothing at all": {results.ScanEnd{Complete: true, Sent: 3, Duration: 0.0123, Filtered: 1, NoResponse: 1, EstimateVoid: "no-answers", Evidence: &results.Evidence{State: results.EvidenceStateNone}}, "complete: 3 probes sent in 12ms, no open ports found, 0 closed, 1 filtered (1 no response)"},
		"one probe":      {results.ScanEnd{Complete: true, Sent: 1, Duration: 0.0004, Closed: 1}, "complete: 1 probe sent in 1ms, no open ports found, 1 closed, 0 filtered (0 no response)"},
		"bursts":         {with(func(e *results.ScanEnd) { e.EstimateVoid = "lasting-loss" }), line + silence + "|open ports missed: unknown, for what was lost once was mostly lost again: losses outlast the gap between attempts, or some paths are worse than others"},
		"first contacts": {with(func(e *results.ScanEnd) { e.EstimateVoid = "first-contacts" }), line + silence + "|open ports missed: unknown, for first probes to what had not answered yet got lost on the way"},
		"a newer reason": {with(func(e *results.ScanEnd) { e.EstimateVoid = "sunspots" }), line + silence + "|open ports missed: unknown, sunspots"},
		"not verified": {with(func(e *results.ScanEnd) {
			e.Open, e.Complete, e.NotVerified, e.NotVerifiedWhy = 16384, false, 12288, &results.NotVerified{Stopped: 12288}
		}), "stopped before the end: 20,480 probes sent in 21s, 16,384 open (12,288 not verified), 1,024 closed, 5,120 filtered (5,120 no response)" + silence + "|12,288 open ports not verified: 12,288 for the scan was stopped"},
		"without a trace": {results.ScanEnd{}, "stopped before the end: 0 probes sent in 0s, no open ports found, 0 closed, 0 filtered (0 no response)"},
	} {
		if hint := new(View).summaryHint(&c.end); (hint != "") != (name == "first contacts") {
			t.Errorf("%s: hint %q", name, hint)
		}
		if got := strings.Join(summaryLines(&c.end), "|"); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
}

// Who has stopped a scan is told how to scan the rest, where the order of probes lets that be said.
func TestRestHint(t *testing.T) {
	plain := func(change func(*plan.Plan)) *plan.Plan {
		p := &plan.Plan{Seed: 242790569449979, Positions: permute.Range{End: 10_240}, Asked: plan.Config{Attempts: 3, RetryGap: time.Second, ShardOf: 1}}
		if change != nil {
			change(p)
		}
		return p
	}
	const rest, again = "to scan the rest, repeat the scan with Seed 242790569449979 and ShardI ", "a scan cannot be resumed: scan again"
	for _, c := range []struct {
		name string
		plan *plan.Plan
		end  results.ScanEnd
		want string // the beginning; "" is no hint
	}{
		{"half", plain(nil), results.ScanEnd{Sent: 5000, Coverage: 0.56, Duration: 300}, rest + "6/10, then with 7/10 and so on"},
		{"what was sent last is not done", plain(nil), results.ScanEnd{Sent: 5000, Coverage: 0.56, Duration: 10}, rest + "4/10, then with 5/10"},
		{"the last part", plain(nil), results.ScanEnd{Sent: 10_000, Coverage: 0.96, Duration: 3000}, rest + "10/10"},
		{"the last part but one", plain(nil), results.ScanEnd{Sent: 10_000, Coverage: 0.85, Duration: 3000}, rest + "9/10, then with 10/10"},
		{"all sent, not all answered", plain(nil), results.ScanEnd{Sent: 10_240, Coverage: 1, Duration: 3000}, rest + "10/10"},
		{"hardly anything", plain(nil), results.ScanEnd{Sent: 500, Coverage: 0.05, Duration: 300}, again},
		{"a moment", plain(nil), results.ScanEnd{Sent: 5000, Coverage: 0.5, Duration: 0.5}, again},
		{"a shard", plain(func(p *plan.Plan) { p.Asked.ShardI, p.Asked.ShardOf = 2, 8 }), results.ScanEnd{Sent: 5000, Coverage: 0.5, Duration: 300}, again},
		{"a plan with parts", plain(func(p *plan.Plan) { p.Apart = []*plan.Plan{{}} }), results.ScanEnd{Sent: 5000, Coverage: 0.5, Duration: 300}, again},
		{"a few ports", plain(func(p *plan.Plan) { p.Positions.End = 9 }), results.ScanEnd{Sent: 5, Coverage: 0.5, Duration: 300}, again},
		{"complete", plain(nil), results.ScanEnd{Sent: 10_240, Coverage: 1, Duration: 300, Complete: true}, ""},
		{"nothing sent", plain(nil), results.ScanEnd{Duration: 300}, ""},
		{"evidence lost", plain(nil), results.ScanEnd{Sent: 5000, Coverage: 0.5, Duration: 300, Evidence: &results.Evidence{State: results.EvidenceStateLost}}, ""},
		{"no plan", nil, results.ScanEnd{Sent: 5000, Coverage: 0.5, Duration: 300}, ""},
	} {
		v := &View{plan: c.plan}
		if got := v.summaryHint(&c.end); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if v.Enough(); v.summaryHint(&c.end) != "" {
			t.Errorf("%s: a hint for who has seen enough", c.name)
		}
	}
}
