package siem_test

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"testing"

	"synoptic/results"
)

type wazuhRule struct {
	ID     int `xml:"id,attr"`
	Level  int `xml:"level,attr"`
	Parent int `xml:"if_sid"`
	Fields []struct {
		Name    string `xml:"name,attr"`
		Pattern string `xml:",chardata"`
	} `xml:"field"`
	Source string `xml:"srcip"`
}

func wazuhRules(t *testing.T, name string) []wazuhRule {
	t.Helper()
	var group struct {
		Rules []wazuhRule `xml:"rule"`
	}
	if err := xml.Unmarshal([]byte(read(t, name)), &group); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return group.Rules
}

// matches tells whether an event has all fields that the rule asks for. The patterns used mean the same
// in Wazuh's own regular expressions, in PCRE and here.
func (r *wazuhRule) matches(event map[string]any) bool {
	for _, f := range r.Fields {
		v, ok := event[f.Name]
		if !ok || !regexp.MustCompile(f.Pattern).MatchString(fmt.Sprint(v)) {
			return false
		}
	}
	return true
}

// Each record meets the rule that is meant for it, by Wazuh's way: the deepest child that matches, the
// highest level first.
func TestWazuhRulesMeetTheirRecords(t *testing.T) {
	rules := wazuhRules(t, "wazuh-rules.xml")
	decide := func(event map[string]any) (at int) {
		for {
			var next *wazuhRule
			for i, r := range rules {
				if r.Parent == at && r.matches(event) && (next == nil || r.Level > next.Level) {
					next = &rules[i]
				}
			}
			if next == nil {
				return at
			}
			at = next.ID
		}
	}
	closed := port("10.20.3.8", 22)
	closed.Reason = results.RST
	records := lines(sample(t, "jsonl", true, port("10.20.3.7", 443), closed))
	incomplete := lines(sample(t, "jsonl", false, port("10.20.3.7", 443)))
	records = append(records, incomplete[len(incomplete)-1], `{"v":1,"type":"port","state":"open"}`)
	want := []int{100202, 100201, 100200, 100205, 100206, 100209, 100210, 100208, 100207, 100200, 100203, 100204, 0}
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d", len(records), len(want))
	}
	for i, line := range records {
		if got := decide(object(t, line)); got != want[i] {
			t.Errorf("rule %d, want %d: %s", got, want[i], line)
		}
	}
}

// The exceptions are about the scanner that siem.md speaks of, and about its 16 source ports.
func TestWazuhExceptionKnowsTheScanner(t *testing.T) {
	rules := wazuhRules(t, "wazuh-exception.xml")
	suricata := rules[0]
	for p := 60990; p < 61030; p++ {
		for _, ip := range []string{"10.0.0.5", "10.0.0.50", "10x0.0.5", "110.0.0.5"} {
			want := ip == "10.0.0.5" && p >= 61000 && p <= 61015
			if got := suricata.matches(map[string]any{"src_ip": ip, "src_port": p}); got != want {
				t.Errorf("%s:%d is ours: %v, want %v", ip, p, got, want)
			}
		}
	}
	if suricata.Level != 0 || rules[1].Level != 0 || rules[1].Source != "10.0.0.5" {
		t.Errorf("not an exception for the scanner: %+v", rules)
	}
	var config struct {
		Files []struct {
			Format   string `xml:"log_format"`
			Location string `xml:"location"`
		} `xml:"localfile"`
		Queue int `xml:"client_buffer>queue_size"`
		Rate  int `xml:"client_buffer>events_per_second"`
	}
	if err := xml.Unmarshal([]byte(read(t, "wazuh-ossec.conf")), &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Files) != 1 || config.Files[0].Format != "json" || config.Queue != 100_000 || config.Rate != 1000 { // the most that Wazuh allows
		t.Errorf("ossec.conf is %+v", config)
	}
}
