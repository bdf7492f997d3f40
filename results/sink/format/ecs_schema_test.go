package format

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// ecsField is a field of the schema.
type ecsField struct {
	kind    string
	array   bool     // the schema wants an array, even of one value
	allowed []string // empty where every value is
}

// ecsSchema is what testdata has of the schema.
type ecsSchema struct {
	fields     map[string]ecsField
	categories map[string][]string // the types that go with a category
}

func loadECSSchema(t *testing.T) (s ecsSchema) {
	t.Helper()
	s.fields, s.categories = map[string]ecsField{}, map[string][]string{}
	for _, row := range schemaRows(t, "ecs-"+ecsVersion+".txt") {
		if row[0] == "+category" {
			s.categories[row[1]] = strings.Split(row[2], ",")
			continue
		}
		f := ecsField{kind: row[1], array: row[3] == "array"}
		if len(row) > 4 {
			f.allowed = strings.Split(row[4], ",")
		}
		s.fields[row[0]] = f
	}
	return s
}

// schemaRows reads a table of testdata: fields between tabs, comments behind "#".
func schemaRows(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// validate says what is wrong with an event. What is under "synoptic" is not the schema's business.
func (s ecsSchema) validate(t *testing.T, line string) (wrong []error) {
	t.Helper()
	blame := func(format string, a ...any) { wrong = append(wrong, fmt.Errorf(format, a...)) }
	fields := leaves(t, line)
	for _, name := range []string{"@timestamp", "ecs.version", "event.id", "event.kind", "event.category[]", "event.type[]", "event.dataset"} {
		if fields[name] == nil {
			blame("%s is missing", name)
		}
	}
	for name, values := range fields {
		if strings.HasPrefix(name, "synoptic.") {
			continue
		}
		name = asLabel(name)
		bare, isArray := strings.CutSuffix(name, "[]")
		f, ok := s.fields[bare]
		if !ok {
			blame("%s is no field of the schema", name)
			continue
		}
		if isArray != f.array {
			blame("%s: the schema has it as an array: %v", name, f.array)
		}
		for _, v := range values {
			if !hasKind(f.kind, v) {
				blame("%s: %v is no %s", name, v, f.kind)
			}
			if len(f.allowed) > 0 && !slices.Contains(f.allowed, fmt.Sprint(v)) {
				blame("%s: %v is not allowed", name, v)
			}
		}
	}
	for _, category := range fields["event.category[]"] {
		for _, kind := range fields["event.type[]"] {
			if !slices.Contains(s.categories[fmt.Sprint(category)], fmt.Sprint(kind)) {
				blame("event.type %v does not go with event.category %v", kind, category)
			}
		}
	}
	if v := fields["ecs.version"]; len(v) != 1 || v[0] != ecsVersion {
		blame("ecs.version is %v", v)
	}
	return wrong
}

// asLabel makes one field of all labels: the schema has them as an object of keywords.
func asLabel(name string) string {
	if strings.HasPrefix(name, "labels.") && strings.Count(name, ".") == 1 {
		return "labels"
	}
	return name
}

// hasKind tells whether Elasticsearch takes a JSON value, and without coercing it, in a field of the type.
func hasKind(kind string, v any) bool {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch kind {
	case "keyword", "object": // of keywords
		return isText && len(text) <= 8191 // Lucene's bound of 32,766 bytes, whatever the characters
	case "match_only_text":
		return isText
	case "ip": // without a zone
		a, err := netip.ParseAddr(text)
		return isText && err == nil && a.Zone() == ""
	case "date": // strict_date_optional_time
		_, err := time.Parse(time.RFC3339Nano, text)
		return isText && err == nil
	case "long":
		_, err := strconv.ParseInt(number.String(), 10, 64)
		return isNumber && err == nil
	case "unsigned_long":
		_, err := strconv.ParseUint(number.String(), 10, 64)
		return isNumber && err == nil
	case "double":
		_, err := number.Float64()
		return isNumber && err == nil
	case "boolean":
		_, isBool := v.(bool)
		return isBool
	}
	return false
}

// leaves gives the values of an event by the dotted name of their field, with "[]" behind the name where
// they are in an array.
func leaves(t *testing.T, line string) map[string][]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var event map[string]any
	if err := d.Decode(&event); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	all := map[string][]any{}
	var walk func(string, any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, v := range v {
				walk(name+"."+k, v)
			}
		case []any:
			for _, v := range v {
				if _, ok := v.(map[string]any); ok {
					walk(name, v) // Elasticsearch flattens them
					continue
				}
				walk(name+"[]", v)
			}
		default:
			all[name[1:]] = append(all[name[1:]], v)
		}
	}
	walk("", event)
	return all
}

func TestECSEventsAreValid(t *testing.T) {
	s := loadECSSchema(t)
	for _, line := range ecsEvents(t) {
		for _, err := range s.validate(t, line) {
			t.Errorf("%v\n%s", err, line)
		}
		// Splunk finds 100 by itself (limits.conf, [kv] limit), Wazuh takes 256 (analysisd.decoder_order_size); shippers
		// add some.
		if n := len(leaves(t, line)); n >= 88 {
			t.Errorf("%d fields: %s", n, line)
		}
	}
}

// The validator finds what it is there to find.
func TestECSValidatorFindsFaults(t *testing.T) {
	s := loadECSSchema(t)
	line := ecsEvents(t)[1]
	for _, fault := range []struct{ old, new string }{
		{`"category":["network"]`, `"category":["port-scan"]`},
		{`"category":["network"]`, `"category":"network"`},
		{`"category":["network"],`, ``},
		{`"type":["info"]`, `"type":["deletion"]`}, // allowed, but not of this category
		{`"kind":"state"`, `"kind":"status"`},
		{`"port":61001`, `"port":"61001"`},
		{`"port":61001`, `"port":6.5`},
		{`"ip":"10.20.3.7"`, `"ip":"www.example.com"`},
		{`"ip":"10.20.3.7"`, `"ip":"fe80::1%eth0"`},
		{`"ip":["10.0.0.5"`, `"ip":["10.0.0"`},
		{`"hosts":["www.example.com"]`, `"hosts":"www.example.com"`},
		{`"iana_number":"6"`, `"iana_number":6`},
		{`"transport":"tcp"`, `"transport":"tcp","layer":4`},
		{`"@timestamp":"2026-11-22T`, `"@timestamp":"2026-11-22 `},
		{`"version":"9.4.0"`, `"version":"1.0.0"`},
	} {
		broken := strings.Replace(line, fault.old, fault.new, 1)
		if broken == line {
			t.Errorf("%s is not in %s", fault.old, line)
		}
		if len(s.validate(t, broken)) == 0 {
			t.Errorf("%s instead of %s goes unnoticed", fault.new, fault.old)
		}
	}
	if wrong := s.validate(t, line); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// The index template maps every field that an event can have, as the schema has it and so that
// Elasticsearch takes the values, and nothing that no event and no shipper has.
func TestECSTemplateMapsEveryField(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "ecs-template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		IndexPatterns []string `json:"index_patterns"`
		Meta          struct {
			ECSVersion string `json:"ecs_version"`
		} `json:"_meta"`
		Template struct {
			Mappings struct {
				Dynamic    bool
				Templates  []map[string]map[string]any `json:"dynamic_templates"`
				Properties map[string]any
			}
		}
	}
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	if template.Meta.ECSVersion != ecsVersion || !slices.Equal(template.IndexPatterns, []string{"logs-synoptic.result-*"}) {
		t.Errorf("the template is for ECS %s in %v", template.Meta.ECSVersion, template.IndexPatterns)
	}
	labels := map[string]map[string]any{"labels": {"path_match": "labels.*", "match_mapping_type": "string", "mapping": map[string]any{"type": "keyword", "ignore_above": 1024.0}}}
	if got := template.Template.Mappings.Templates; !reflect.DeepEqual(got, []map[string]map[string]any{labels}) {
		t.Errorf("the dynamic templates are %v", got)
	}
	if got := template.Template.Mappings.Properties["labels"]; !reflect.DeepEqual(got, map[string]any{"type": "object", "dynamic": true}) {
		t.Errorf("labels are mapped as %v", got)
	}
	mapped := map[string]string{}
	var walk func(string, map[string]any)
	walk = func(prefix string, properties map[string]any) {
		for name, v := range properties {
			if inner, ok := v.(map[string]any)["properties"]; ok {
				walk(prefix+name+".", inner.(map[string]any))
				continue
			}
			mapped[prefix+name], _ = v.(map[string]any)["type"].(string)
		}
	}
	walk("", template.Template.Mappings.Properties)

	s := loadECSSchema(t)
	for name, kind := range mapped {
		if want := s.fields[name].kind; !strings.HasPrefix(name, "synoptic.") && kind != want {
			t.Errorf("%s is mapped as %q, in the schema it is %q", name, kind, want)
		}
	}
	unused := map[string]bool{}
	for name := range mapped {
		unused[name] = true
	}
	for _, line := range ecsEvents(t) {
		for name, values := range leaves(t, line) {
			name = asLabel(strings.TrimSuffix(name, "[]"))
			delete(unused, name)
			for _, v := range values {
				if v != nil && !hasKind(mapped[name], v) { // null is the same as no field
					t.Errorf("%s is mapped as %q, but can be %v", name, mapped[name], v)
				}
			}
		}
	}
	for _, name := range []string{"tags", "event.ingested", "agent.id", "agent.name", "agent.type", "agent.version", "host.name", "log.file.path"} {
		delete(unused, name) // shippers and ingest pipelines add them
	}
	if len(unused) > 0 {
		t.Errorf("no event has %v", unused)
	}
}

// ecsEvents is every kind of event that the format has.
func ecsEvents(t *testing.T) []string {
	start := sampleStart()
	start.Args = slices.Repeat([]string{"10.0.0.0/8"}, 2000)
	failed := sampleEnd()
	failed.Complete = false
	longName := func(w *Writer, o Options) Encoder {
		o.Hostname = strings.Repeat("s", 253)
		return newECS(w, o)
	}
	lines, _ := encode(t, longName, reported(stream(start, everyPort(), everyHost(), failed, everyEvent()...), failed.Outputs))
	least, _ := encode(t, newECS, stream(&results.ScanStart{ScanID: testScanID}, nil, nil, &results.ScanEnd{ScanID: testScanID}))
	whole, _ := encode(t, newECS, stream(sampleStart(), nil, nil, sampleEnd()))
	changes, _ := encode(t, longName, noticed(everyTold()))
	alone, _ := encode(t, longName, unaccompanied(everyTold()))
	return slices.Concat(lines, least, whole, changes, alone)
}
