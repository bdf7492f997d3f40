package screen

import (
	"strings"
	"testing"

	"synoptic/results"
)

func TestOutputWords(t *testing.T) {
	healthy := results.Delivery{Output: "out.jsonl", Delivered: 1 << 30, Queued: 999, Spooled: 7}
	siem := results.Delivery{Output: "ecs:elastic+https://siem.example:9200/scans", Delivered: 5, Queued: 1200, Retried: 40, Spooled: 7, Dead: 3}
	long := results.Delivery{Output: "jsonl:/var/log/" + strings.Repeat("long", 20), Dead: 1}
	for _, c := range []struct {
		outputs []results.Delivery
		want    string
	}{
		{nil, "50%"}, {[]results.Delivery{healthy}, "50%"},
		{[]results.Delivery{healthy, siem}, "50%  siem.example: 5 delivered, 1,200 queued, 40 retried, 7 spooled, 3 dead"},
		{[]results.Delivery{long}, "50%  longlonglonglonglon…: 0 delivered, 1 dead"},
		{[]results.Delivery{siem, siem}, "50%  siem.example: 5 delivered, 1,200 queued, 40 retried, 7 spooled, 3 dead  s…"},
	} {
		if got := withOutputs("50%", c.outputs); got != c.want {
			t.Errorf("%+v is %q, want %q", c.outputs, got, c.want)
		}
	}
	if got, want := deliveringLine([]results.Delivery{{Output: "a"}, siem}), "delivering: 1,200 records wait for siem.example"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := deliveringLine([]results.Delivery{{Output: "a"}}); got != "" {
		t.Errorf("%q, and nothing waits", got)
	}
}
