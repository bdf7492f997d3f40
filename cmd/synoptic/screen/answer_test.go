package screen

import (
	"strings"
	"testing"

	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/control"
)

// Answers to people are a line, and of the status a row for what there is to say.
func TestWriteAnswer(t *testing.T) {
	yes, no, left := true, false, 90.0
	status := scan.Status{
		ScanID: "abc", Phase: scan.PhaseScan, Backend: "ebpf", Elapsed: 61, Left: &left, ToProbe: 1000, Probed: 500, Rate: 2000, Achieved: 1980, MaxRate: 8000,
		Limits: scan.Limits{Limit: 2000, LimitedBy: scan.LimitedByControl}, Sent: 700, Retransmitted: 200, Open: 3, Closed: 4, Filtered: 5,
	}
	more := status
	more.Paused, more.PausedS, more.Outage, more.Capacity, more.ExcludedLive, more.Beacons, more.Outages, more.Without = true, 5, "answers", 5000, 7, scan.Beacons{Sent: 9, Answered: 8, Lost: 1}, 2, 3
	more.RxDrops, more.Outputs = 6, []results.Delivery{{Output: "a\x1b.jsonl", Delivered: 1, Queued: 2, Held: 3, Dead: 4, Lost: 5}}
	over := status
	over.Over = true
	const rows = "scan       abc, by ebpf, for 1m1s so far|phase      scan, 50.0% of 1,000 ports to probe, 1m30s left|rate       2k pps set, 1.98k pps achieved, at most 8k pps|limit      2k pps, by control|" +
		"sent       700 probes, 200 of them retries|found      3 open, 4 closed, 5 filtered, 0 unknown"
	for name, c := range map[string]struct {
		answer control.Answer
		want   string
	}{
		"rate":       {control.Answer{Rate: &control.Rate{PPS: 2000, Min: 0.001, Max: 8000}}, "rate 2k pps (0.001 pps to 8k pps are possible)"},
		"too much":   {control.Answer{Rate: &control.Rate{PPS: 8000, Asked: 1e6, Min: 0.001, Max: 8000}}, "rate 8k pps, the most that this scan was planned for"},
		"pause":      {control.Answer{Paused: &yes}, "paused: nothing is sent until resume"},
		"resume":     {control.Answer{Paused: &no}, "going on"},
		"exclude":    {control.Answer{Excluded: &scan.Excluded{Addresses: 256, Probes: 1024}}, "excluded: 256 addresses of the targets, 1,024 ports"},
		"of no use":  {control.Answer{Excluded: &scan.Excluded{}}, "excluded; none of it was among the targets"},
		"status":     {control.Answer{Status: &status}, rows},
		"over":       {control.Answer{Status: &over}, strings.Replace(rows, "scan, 50.0% of 1,000 ports to probe, 1m30s left", "over: outputs are delivered to", 1)},
		"everything": {control.Answer{Status: &more}, strings.NewReplacer("1m30s left|", "1m30s left|paused     by synoptic ctl; 5s in all|outage     waiting for answers|", "by control|", "by control|capacity   about 5k pps|").Replace(rows) + "|excluded   7 ports not probed for that|beacons    9 sent, 8 answered, 1 lost|outages    2, 3s in all|drops      6 replies unread, 0 frames of the interfaces|output     a�.jsonl: 1 delivered, 5 waiting, 4 dead, 5 lost"},
	} {
		var b strings.Builder
		WriteAnswer(&b, &c.answer)
		if got := strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\n", "|"); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}
