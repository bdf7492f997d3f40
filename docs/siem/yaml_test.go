package siem_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// yamlReader reads the part of YAML that the snippets keep to: maps and lists in block style, flow lists
// on one line, scalars on one line, and literal blocks. It refuses the rest.
type yamlReader struct {
	t     *testing.T
	name  string
	lines []string
	at    int
}

func parseYAML(t *testing.T, name string) map[string]any {
	t.Helper()
	r := &yamlReader{t: t, name: name, lines: lines(read(t, name))}
	doc, ok := r.block(0).(map[string]any)
	if !ok || r.at < len(r.lines) {
		t.Fatalf("%s: line %d is not understood", name, r.at+1)
	}
	return doc
}

// next is the indentation and the text of the next line that says something; -1 at the end.
func (r *yamlReader) next() (int, string) {
	for ; r.at < len(r.lines); r.at++ {
		if text := strings.TrimLeft(r.lines[r.at], " "); text != "" && text[0] != '#' {
			if text[0] == '\t' {
				r.t.Fatalf("%s:%d: a tab", r.name, r.at+1)
			}
			return len(r.lines[r.at]) - len(text), text
		}
	}
	return -1, ""
}

var yamlKey = regexp.MustCompile(`^([\w.|@]+):(?: +(.*))?$`)

func (r *yamlReader) block(indent int) any {
	list, fields := []any{}, map[string]any{}
	for {
		in, text := r.next()
		if in != indent {
			break
		}
		if item, ok := strings.CutPrefix(text, "- "); ok {
			if yamlKey.MatchString(item) { // a map begins behind the dash
				r.lines[r.at] = strings.Repeat(" ", indent+2) + item
				list = append(list, r.block(indent+2))
			} else {
				list = append(list, r.scalar(item))
				r.at++
			}
			continue
		}
		m := yamlKey.FindStringSubmatch(text)
		if m == nil {
			r.t.Fatalf("%s:%d: neither a list nor a map: %s", r.name, r.at+1, text)
		}
		if _, twice := fields[m[1]]; twice {
			r.t.Fatalf("%s:%d: %s comes twice", r.name, r.at+1, m[1])
		}
		r.at++
		switch deeper, _ := r.next(); {
		case m[2] == "|":
			var literal []string
			for ; r.at < len(r.lines) && strings.HasPrefix(r.lines[r.at], strings.Repeat(" ", indent+2)); r.at++ {
				literal = append(literal, r.lines[r.at][indent+2:])
			}
			fields[m[1]] = strings.Join(literal, "\n")
		case m[2] != "":
			fields[m[1]] = r.scalar(m[2])
		case deeper > indent:
			fields[m[1]] = r.block(deeper)
		default:
			r.t.Fatalf("%s:%d: %s has no value", r.name, r.at, m[1])
		}
	}
	if len(list) > 0 && len(fields) > 0 {
		r.t.Fatalf("%s:%d: a list and a map in one", r.name, r.at)
	}
	if len(list) > 0 {
		return list
	}
	return fields
}

func (r *yamlReader) scalar(s string) any {
	switch {
	case strings.HasPrefix(s, "["):
		var list []any
		for _, item := range strings.Split(strings.TrimSuffix(s[1:], "]"), ",") {
			list = append(list, r.scalar(strings.TrimSpace(item)))
		}
		return list
	case strings.HasPrefix(s, `"`):
		var text string
		if err := json.Unmarshal([]byte(s), &text); err != nil {
			r.t.Fatalf("%s:%d: %s: %v", r.name, r.at+1, s, err)
		}
		return text
	case strings.HasPrefix(s, "'"):
		return strings.Trim(s, "'")
	case strings.ContainsAny(s, "#&*!>%`") || strings.Contains(s, ": "):
		if !strings.HasPrefix(s, "/") { // a path may have a star
			r.t.Fatalf("%s:%d: %s needs quotes", r.name, r.at+1, s)
		}
	}
	return s
}

// dig follows keys, or indexes of lists.
func dig(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				t.Fatalf("no item %d in %v", p, l)
			}
			v = l[p]
		}
		if v == nil {
			t.Fatalf("nothing at %v of %v", p, path)
		}
	}
	return v
}

// The file and the ones that logrotate makes of it are read, but not the compressed ones.
func TestShippersReadRotatedFiles(t *testing.T) {
	filebeat := dig(t, parseYAML(t, "filebeat.yml"), "filebeat.inputs", 0)
	vector := dig(t, parseYAML(t, "vector.yaml"), "sources", "synoptic_file")
	for name, want := range map[string]bool{"scan.ecs.jsonl": true, "scan.ecs.jsonl.1": true, "scan.ecs.jsonl.2.gz": false, "scan.jsonl": false} {
		path := "/var/log/synoptic/" + name
		glob := func(patterns any) bool {
			return slices.ContainsFunc(patterns.([]any), func(p any) bool {
				ok, err := filepath.Match(p.(string), path)
				if err != nil {
					t.Fatal(err)
				}
				return ok
			})
		}
		excluded := regexp.MustCompile(dig(t, filebeat, "prospector.scanner.exclude_files", 0).(string)).MatchString(path)
		if got := glob(dig(t, filebeat, "paths")) && !excluded; got != want {
			t.Errorf("filebeat reads %s: %v", name, got)
		}
		if got := glob(dig(t, vector, "include")) && !glob(dig(t, vector, "exclude")); got != want {
			t.Errorf("vector reads %s: %v", name, got)
		}
	}
}

func TestFilebeatConfig(t *testing.T) {
	c := parseYAML(t, "filebeat.yml")
	in := dig(t, c, "filebeat.inputs", 0)
	if dig(t, in, "id") == "" || dig(t, in, "parsers", 0, "ndjson", "target") != "" || dig(t, in, "parsers", 0, "ndjson", "overwrite_keys") != "true" {
		t.Error("events would not be at the root")
	}
	id := dig(t, in, "processors", 0, "fingerprint")
	if dig(t, id, "fields", 0) != "event.id" || dig(t, id, "target_field") != "@metadata._id" {
		t.Errorf("no document id from event.id: %v", id)
	}
}

// Vector's components are joined, and what the program leaves as the id is what is deduplicated by.
func TestVectorConfig(t *testing.T) {
	c := parseYAML(t, "vector.yaml")
	outputs := []string{"synoptic_parsed.dropped"}
	for _, kind := range []string{"sources", "transforms"} {
		for name := range dig(t, c, kind).(map[string]any) {
			outputs = append(outputs, name)
		}
	}
	for _, kind := range []string{"transforms", "sinks"} {
		for name, component := range dig(t, c, kind).(map[string]any) {
			for _, in := range dig(t, component, "inputs").([]any) {
				if !slices.Contains(outputs, in.(string)) {
					t.Errorf("%s reads %v, which is not there", name, in)
				}
			}
		}
	}
	id := dig(t, c, "transforms", "synoptic_once", "fields", "match", 0).(string)
	program := dig(t, c, "transforms", "synoptic_parsed", "source").(string)
	if dig(t, c, "sinks", "synoptic_elastic", "id_key") != id || !strings.Contains(program, fmt.Sprintf(".%s = .event.id", id)) {
		t.Errorf("the id is not %s throughout", id)
	}
}

func TestFluentBitConfig(t *testing.T) {
	c := parseYAML(t, "fluent-bit.yaml")
	in, out := dig(t, c, "pipeline", "inputs", 0), dig(t, c, "pipeline", "outputs", 0)
	if dig(t, in, "parser") != dig(t, c, "parsers", 0, "name") || dig(t, in, "tag") != dig(t, out, "match") {
		t.Error("parser or tag do not meet")
	}
	if dig(t, in, "skip_long_lines") != "on" || dig(t, in, "db") == "" {
		t.Error("a long line or a restart would lose records")
	}
}

// The exceptions name the same scanner, and all its source ports.
func TestExceptionsKnowTheScanner(t *testing.T) {
	elastic := object(t, read(t, "elastic-exception.json"))
	if dig(t, elastic, "entries", 0, "value") != "10.0.0.5" {
		t.Error("elastic: another address")
	}
	for i := range 16 {
		if dig(t, elastic, "entries", 1, "value", i) != fmt.Sprint(61000+i) {
			t.Errorf("elastic: port %d is missing", 61000+i)
		}
	}
	sigma := dig(t, parseYAML(t, "sigma-filter.yml"), "filter")
	if dig(t, sigma, "condition") != "not selection" || dig(t, sigma, "selection", "src_ip") != "10.0.0.5" ||
		dig(t, sigma, "selection", "src_port|gte") != "61000" || dig(t, sigma, "selection", "src_port|lte") != "61015" {
		t.Errorf("sigma: %v", sigma)
	}
	for _, line := range lines(read(t, "suricata-threshold.config")) {
		if !regexp.MustCompile(`^suppress gen_id 1, sig_id \d+, track by_src, ip 10\.0\.0\.5$`).MatchString(line) {
			t.Errorf("suricata: %s", line)
		}
	}
	for name, want := range map[string]string{
		"suricata-pass.rules":    "pass tcp 10.0.0.5 61000:61015 -> ",
		"scanner.zeek":           "{ 10.0.0.5 }",
		"splunk-eventtypes.conf": `src="10.0.0.5"`,
	} {
		if !strings.Contains(read(t, name), want) {
			t.Errorf("%s lacks %s", name, want)
		}
	}
}
