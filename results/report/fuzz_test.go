package report_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"synoptic/results"
	"synoptic/results/report"
)

// Whatever records say, they make a page with nothing in it that is not ours.
func FuzzRecords(f *testing.F) {
	const scan = `{"v":1,"type":"scan_start","ts":"2026-11-20T02:00:00Z","scan_id":"S","targets":-1,"ports":-7,"probes":9,"targets_digest":"t","ports_digest":"p","scanner":"<b>","args":["<script>",""]}
{"v":1,"type":"port","ts":"2026-11-20T02:00:01Z","scan_id":"S","event_id":"00000000000000000000000000000000","ip":"10.0.0.1","port":80,"proto":"tcp","state":"open","reason":"syn-ack","service":"</template><script>","service_source":"banner","banner":"\u001b","tags":{"a":"<"}}
{"v":1,"type":"event","ts":"2026-11-20T02:00:01Z","scan_id":"S","event":"lost","message":"<i>"}
{"v":1,"type":"scan_end","ts":"9999-11-20T02:00:02Z","scan_id":"S","open":1,"coverage":1e300,"complete":true,"evidence":{"state":"held","unknown":18446744073709551615},"loss_estimate":{"value":-1,"low":1e308,"high":0}}
`
	f.Add([]byte(scan + strings.ReplaceAll(scan, `"S"`, `"T"`)))
	f.Add([]byte(strings.ReplaceAll(scan, "10.0.0.1", "fe80::1%eth0")))
	f.Add([]byte(strings.ReplaceAll(scan, "syn-ack", "evidence-lost")))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, l := results.NewReader(bytes.NewReader(in)), report.NewLedger(results.Closed|results.Filtered|results.Unknown)
		for records := new(results.Records); ; {
			err := r.Read(records)
			if _, line := errors.AsType[*results.LineError](err); line {
				continue
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if l.Take(records) != nil {
				break
			}
		}
		if err := complaint(nodes(t, written(t, l.Input()))); err != nil {
			t.Error(err)
		}
	})
}
