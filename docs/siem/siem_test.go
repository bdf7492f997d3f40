// Package siem_test holds what docs/siem.md says, and its snippets, against records as the program
// writes them, and runs those whose program is there.
package siem_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/format"
)

// elsewhere are files that siem.md links to and that other tests hold: they are not quoted.
var elsewhere = []string{"rsyslog.conf", "syslog-ng.conf"}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var quoted = regexp.MustCompile("(?s)\\[siem/([\\w.-]+)\\]\\(siem/([\\w.-]+)\\)[^\n]*\n\n```\\w*\n(.*?)```\n")

// Every snippet is quoted in full in siem.md, and is the file of the name.
func TestQuotedSnippetsAreTheFiles(t *testing.T) {
	seen := map[string]bool{}
	for _, q := range quoted.FindAllStringSubmatch(read(t, "../siem.md"), -1) {
		if q[1] != q[2] {
			t.Errorf("link %s leads to %s", q[1], q[2])
		}
		if q[3] != read(t, q[1]) {
			t.Errorf("siem.md quotes %s differently", q[1])
		}
		seen[q[1]] = true
	}
	files, err := fs.Glob(os.DirFS("."), "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, ".go") && f != "testdata" && !slices.Contains(elsewhere, f) && !seen[f] {
			t.Errorf("siem.md does not quote %s", f)
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d snippets are quoted: the expression lost its reach", len(seen))
	}
}

// sample is a scan with every field that a record can have.
func sample(t *testing.T, name string, complete bool, ports ...results.Port) string {
	t.Helper()
	f, ok := format.Lookup(name)
	if !ok {
		t.Fatalf("no format %s", name)
	}
	var out bytes.Buffer
	w := format.NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
		out.Write(b.Data)
		b.Reset()
		return b, nil
	})
	e := f.New(w, format.Options{Fresh: true, Hostname: "scan01"})
	begun := time.Date(2026, 11, 22, 10, 12, 13, 123456789, time.UTC)
	id := results.NewScanID()
	host := results.Host{Addr: ports[0].Addr, OpenCount: 65535, First: begun.UnixNano(), Last: begun.UnixNano(), RTT: time.Millisecond, HasRTT: true, Suspect: results.SYNACKAll | results.Win0NoOpts}
	for p := range results.MaxHostPorts {
		host.Open = append(host.Open, uint16(65535-results.MaxHostPorts+p))
	}
	end := results.ScanEnd{Time: results.Time(begun.Add(time.Minute)), ScanID: id, Complete: complete, Outputs: []results.Delivery{{Output: "jsonl:-", Delivered: 3}}, Evidence: &results.Evidence{State: results.EvidenceStateHeld}}
	for _, err := range []error{
		e.Start(&results.ScanStart{Time: results.Time(begun), ScanID: id, Version: "1", Args: []string{"scan", `"ts":"`}, Source: "10.0.0.5", Scope: &results.Scope{}}),
		e.Ports(ports), e.Events(someEvents(begun)), e.Notices(someChanges(begun, id)), e.Hosts([]results.Host{host}), e.End(&end), w.Flush(), e.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// someChanges are violations, and a port that has opened, with all that is said of one.
func someChanges(at time.Time, scanID string) []results.Notice {
	when := results.Time(at)
	violation := results.Violation{
		Time: at.UnixNano(), ScanID: scanID, Status: results.ViolationOpened, Rule: "db-only-from-app", Policy: "policy.yaml", Severity: results.SeverityHigh, Want: results.WantShut,
		Addr: netip.MustParseAddr("10.20.3.4"), Port: 5432, Vantage: "office", Owner: "team-db", First: at.UnixNano(), Message: "5432 is open",
	}
	closed, lesser := violation, violation
	closed.Status, lesser.Severity = results.ViolationClosed, results.SeverityMedium
	return []results.Notice{&violation, &closed, &lesser, &results.Change{
		Time: when, ScanID: scanID, Change: results.ChangeOpened, Addr: netip.MustParseAddr("10.20.3.8"), Port: 22, Proto: "tcp", Vantage: "dmz", Before: "closed", After: "open",
		NotBefore: &when, NotAfter: &when, Reason: "handshake", Confirmed: true, Asked: 3, Service: "ssh",
	}}
}

// someEvents are an outage and a loss.
func someEvents(at time.Time) []results.Event {
	outage := results.Event{
		Time: at.UnixNano() + 2, Kind: results.EventOutage, Begin: at.UnixNano(), Scope: results.ScopeNextHop, Cause: results.CauseNextHopSilent, Iface: "eth0",
		NextHop: netip.MustParseAddr("10.0.0.254"), Prefix: netip.MustParsePrefix("10.20.0.0/16"), Message: "10.0.0.254 has stopped answering",
	}
	lost := outage
	lost.Kind, lost.Time, lost.End, lost.Again, lost.Unknown = results.EventLost, outage.Time+1, outage.Time, 1, 214
	return []results.Event{outage, lost}
}

// port is an open port with all that can be known of one.
func port(addr string, n uint16) results.Port {
	return results.Port{
		Time: time.Date(2026, 11, 22, 10, 12, 14, 5, time.UTC).UnixNano(), Addr: netip.MustParseAddr(addr), Port: n,
		Reason: results.SYNACK, Hostname: "db.example", Service: "https", TTL: 64, RTT: time.Millisecond, HasRTT: true, Attempt: 1,
		Window: 64240, MSS: 1460, Source: netip.MustParseAddr("10.0.0.5"), SourcePort: 61000, Iface: "eth0",
		Suspect: results.SYNACKAll, Verified: results.VerifyTrue, Banner: bytes.Repeat([]byte{0x80}, results.MaxBanner),
	}
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

func object(t *testing.T, line string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return v
}

// Receivers cut long lines: the longest of ours is shorter than the least limit that a snippet sets.
func TestLinesFitTheSnippetsLimits(t *testing.T) {
	longest := 0
	for _, line := range lines(sample(t, "jsonl", true, port("2001:db8:1111:2222:3333:4444:5555:6666", 65535))) {
		longest = max(longest, len(line)+1)
	}
	if longest < 2000 || longest > 4096 {
		t.Fatalf("the longest sample line has %d bytes", longest)
	}
	for name, limit := range map[string]*regexp.Regexp{
		"splunk-props.conf":   regexp.MustCompile(`(?m)^TRUNCATE = (10000)$`),
		"fluent-bit.yaml":     regexp.MustCompile(`(?m)^ *buffer_max_size: (64k)$`),
		"rsyslog-imfile.conf": regexp.MustCompile(`maxMessageSize="(8k)"`),
		"syslog-ng-file.conf": regexp.MustCompile(`log-msg-size\((8192)\)`),
	} {
		if !limit.MatchString(read(t, name)) {
			t.Errorf("%s does not set the limit that siem.md tells", name)
		}
	}
}

// Filestream knows a file by its first bytes, and reads none that is shorter: they hold the event's ID, and
// the shortest record is longer.
func TestFilestreamKnowsFilesApart(t *testing.T) {
	length, err := strconv.Atoi(dig(t, parseYAML(t, "filebeat.yml"), "filebeat.inputs", 0, "prospector.scanner.fingerprint", "length").(string))
	if err != nil {
		t.Fatal(err)
	}
	first := lines(sample(t, "ecs", true, port("10.20.3.7", 443)))[0]
	if len(first) < length || !regexp.MustCompile(`"id":"[0-9a-f]{32}"`).MatchString(first[:length]) {
		t.Errorf("no ID in the first %d bytes of %s", length, first)
	}
}

// declared are all fields of the native records, by docs/records.schema.json.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(read(t, "../records.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	for _, record := range []string{"scan_start", "port", "event", "host", "scan_end", "delivery", "plan", "coverage", "change", "violation"} {
		for name := range schema.Defs[record].Properties {
			fields[name] = true
		}
	}
	return fields
}

// What snippets call a field of a native record is one.
func TestNativeFieldsExist(t *testing.T) {
	fields := declared(t)
	for name, use := range map[string]*regexp.Regexp{
		"new-open-ports.jq":    regexp.MustCompile(`\$r\.(\w+)`),
		"new-open-ports.kql":   regexp.MustCompile(`\br\.(\w+)`),
		"new-open-ports.spl":   regexp.MustCompile(`(?:^|[ (])(type|state|ip|port|service|event_id)\b`),
		"changes.spl":          regexp.MustCompile(`(?:^|[ (])(type|vantage|change|ip|prefix|port|service|service_before|before|after|not_before|not_after|reason|scan_id|event_id)\b`),
		"changes.kql":          regexp.MustCompile(`\br\.(\w+)`),
		"violations.spl":       regexp.MustCompile(`\b(?:latest|values|min)\((\w+)\)|\b(type|status|severity|event_id|violation_id)\b`),
		"violations.kql":       regexp.MustCompile(`\br\.(\w+)`),
		"dead-man.spl":         regexp.MustCompile(`(?:^|[ (])(type|complete)=`),
		"evidence.kql":         regexp.MustCompile(`\br\.(\w+)`),
		"evidence.spl":         regexp.MustCompile(`(?:^|[ (])(type|scan_id|event|event_id|extent|cause|iface|next_hop|prefix|unknown|message)\b`),
		"wazuh-rules.xml":      regexp.MustCompile(`(?:field name="|\$\()(\w+)`),
		"graylog-pipeline.txt": regexp.MustCompile(`\$message\.synoptic_(\w+)`),
		"fluent-bit.yaml":      regexp.MustCompile(`time_key: (\w+)`),
	} {
		found := use.FindAllStringSubmatch(read(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s uses no field: the expression lost its reach", name)
		}
		for _, f := range found {
			if field := strings.Join(f[1:], ""); !fields[field] && field != "_time" {
				t.Errorf("%s uses %q, which no record has", name, field)
			}
		}
	}
}

// What snippets call a field of an ECS event is one, with the value that they ask for.
func TestECSFieldsExist(t *testing.T) {
	have := map[string]bool{}
	actions := map[any]bool{}
	for _, line := range lines(sample(t, "ecs", true, port("10.20.3.7", 443))) {
		event := object(t, line)
		flatten("", event, have)
		id, _ := event["event"].(map[string]any)["id"].(string)
		if len(id) != 32 {
			t.Errorf("no event.id, on which the snippets deduplicate: %s", line)
		}
		actions[event["event"].(map[string]any)["action"]] = true
	}
	use := regexp.MustCompile(`[a-z_@]+(?:\.[a-z_]+)+|@timestamp`)
	for _, name := range []string{"new-open-ports.esql", "changes.esql", "violations.esql", "evidence.esql"} {
		query := strings.TrimPrefix(read(t, name), "FROM logs-synoptic.result-*\n")
		for _, field := range use.FindAllString(query, -1) {
			if !have[field] {
				t.Errorf("%s uses %q, which no event has", name, field)
			}
		}
		asked := regexp.MustCompile(`"((?:port|evidence|service|host|net|violation)-[a-z-]+)"`).FindAllStringSubmatch(query, -1)
		for _, a := range asked {
			known := actions[a[1]]
			for k := results.EventNone + 1; k.String() != ""; k++ {
				known = known || a[1] == "evidence-"+k.String()
			}
			for k := results.ChangeNone + 1; k < results.NumChangeKinds; k++ {
				known = known || a[1] == k.Action()
			}
			if !known {
				t.Errorf("no event has the action %q that %s asks for", a[1], name)
			}
		}
		if len(asked) == 0 {
			t.Errorf("%s asks for no action: the expression lost its reach", name)
		}
	}
	if !actions["port-open"] || !actions["evidence-lost"] {
		t.Errorf("the events have the actions %v", actions)
	}
}

func flatten(prefix string, v any, into map[string]bool) {
	m, ok := v.(map[string]any)
	if !ok {
		into[prefix] = true
		return
	}
	for k, v := range m {
		name := k
		if prefix != "" {
			name = prefix + "." + k
		}
		flatten(name, v, into)
	}
}

// goLayout turns the directives that the snippets use into Go's layout of time.
func goLayout(pattern string) string {
	return strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%S", "05", "%9N", "000000000", "%L", "000000000", "%z", "Z07:00",
		"yyyy", "2006", "MM", "01", "dd", "02", "HH", "15", "mm", "04", "ss", "05", "SSSSSSSSS", "000000000", "'T'", "T", "'Z'", "Z").Replace(pattern)
}

// The patterns of time find and read the ts of every record.
func TestTimePatternsReadEveryRecord(t *testing.T) {
	props := ini(t, read(t, "splunk-props.conf"))["synoptic:json"]
	prefix := regexp.MustCompile(props["TIME_PREFIX"])
	if props["MAX_TIMESTAMP_LOOKAHEAD"] != "30" {
		t.Fatal("MAX_TIMESTAMP_LOOKAHEAD is not the length of ts")
	}
	fluent := regexp.MustCompile(`time_format: "(.*)"`).FindStringSubmatch(read(t, "fluent-bit.yaml"))[1]
	graylog := regexp.MustCompile(`pattern: "(.*?)", timezone: "UTC"`).FindStringSubmatch(read(t, "graylog-pipeline.txt"))[1]
	for _, line := range lines(sample(t, "jsonl", true, port("10.20.3.7", 443))) {
		want, err := time.Parse(time.RFC3339Nano, object(t, line)["ts"].(string))
		if err != nil {
			t.Fatal(err)
		}
		at := prefix.FindStringIndex(line)
		if at == nil {
			t.Fatalf("TIME_PREFIX finds nothing in %s", line)
		}
		ts := line[at[1] : at[1]+30]
		for name, pattern := range map[string]string{"splunk": props["TIME_FORMAT"], "fluent-bit": fluent, "graylog": graylog} {
			if got, err := time.Parse(goLayout(pattern), ts); err != nil || !got.Equal(want) {
				t.Errorf("%s reads %s as %v (%v)", name, ts, got, err)
			}
		}
	}
}

// Splunk breaks a file into its records.
func TestSplunkBreaksLines(t *testing.T) {
	props := ini(t, read(t, "splunk-props.conf"))["synoptic:json"]
	all := sample(t, "jsonl", true, port("10.20.3.7", 443))
	for _, key := range []string{"LINE_BREAKER", "EVENT_BREAKER"} {
		got := regexp.MustCompile(props[key]).Split(strings.TrimSuffix(all, "\n"), -1)
		if !slices.Equal(got, lines(all)) {
			t.Errorf("%s breaks %d records into %d", key, len(lines(all)), len(got))
		}
	}
	inputs := ini(t, read(t, "splunk-inputs.conf"))["monitor:///var/log/synoptic/scan.jsonl"]
	if inputs["sourcetype"] != "synoptic:json" {
		t.Errorf("inputs.conf has sourcetype %q, props.conf is for synoptic:json", inputs["sourcetype"])
	}
	for _, search := range ini(t, read(t, "splunk-eventtypes.conf")) {
		if strings.Contains(search["search"], "|") { // an event type cannot have one
			t.Error("the suppression has a pipe")
		}
	}
}

// ini reads stanzas of name = value.
func ini(t *testing.T, text string) map[string]map[string]string {
	t.Helper()
	stanzas := map[string]map[string]string{}
	var current map[string]string
	for _, line := range lines(text) {
		key, value, ok := strings.Cut(line, " = ")
		switch {
		case line == "":
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			current = map[string]string{}
			stanzas[line[1:len(line)-1]] = current
		case ok && current != nil:
			current[key] = value
		default:
			t.Fatalf("neither a stanza nor a setting: %q", line)
		}
	}
	return stanzas
}

// Graylog's rule takes every record.
func TestGraylogRuleTakesEveryRecord(t *testing.T) {
	text := regexp.MustCompile(`starts_with\(to_string\(\$message\.message\), (".*")\)`).FindStringSubmatch(read(t, "graylog-pipeline.txt"))
	var prefix string
	if err := json.Unmarshal([]byte(text[1]), &prefix); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(sample(t, "jsonl", true, port("10.20.3.7", 443))) {
		if !strings.HasPrefix(line, prefix) {
			t.Errorf("%q does not begin %s", prefix, line)
		}
	}
}
