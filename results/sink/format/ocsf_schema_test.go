package format

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synoptic/results"
)

// ocsfAttribute is an attribute of a class or an object of the schema.
type ocsfAttribute struct {
	kind     string
	required bool
	array    bool
	values   []string // of an enumeration
}

// ocsfSchema is what testdata has of the schema.
type ocsfSchema struct {
	attributes map[string]map[string]ocsfAttribute // by class or object
	oneOf      map[string][]string                 // attributes of which an object needs at least one
}

func loadOCSFSchema(t *testing.T) ocsfSchema {
	t.Helper()
	s := ocsfSchema{map[string]map[string]ocsfAttribute{}, map[string][]string{}}
	for _, row := range schemaRows(t, "ocsf-"+ocsfVersion+".txt") {
		if row[1] == "?" {
			s.oneOf[row[0]] = strings.Split(row[2], ",")
			continue
		}
		a := ocsfAttribute{kind: row[2], required: row[3] == "required", array: row[4] == "array"}
		if len(row) > 5 {
			a.values = strings.Split(row[5], ",")
		}
		if s.attributes[row[0]] == nil {
			s.attributes[row[0]] = map[string]ocsfAttribute{}
		}
		s.attributes[row[0]][row[1]] = a
	}
	return s
}

// validate says what is wrong with an event.
func (s ocsfSchema) validate(t *testing.T, line string) (wrong []error) {
	t.Helper()
	event := ocsfEvent(t, line)
	class := fmt.Sprint(event["class_uid"])
	if s.attributes[class] == nil {
		return []error{fmt.Errorf("no class %s", class)}
	}
	var profiles []string
	if m, ok := event["metadata"].(map[string]any); ok {
		names, _ := m["profiles"].([]any)
		for _, name := range names {
			profiles = append(profiles, class+"+"+fmt.Sprint(name))
		}
		if m["version"] != ocsfVersion {
			wrong = append(wrong, fmt.Errorf("metadata.version is %v", m["version"]))
		}
	}
	if want := class + fmt.Sprintf("%02s", event["activity_id"]); fmt.Sprint(event["type_uid"]) != want {
		wrong = append(wrong, fmt.Errorf("type_uid is %v instead of %s", event["type_uid"], want))
	}
	return append(wrong, s.object(class, event, append(profiles, class)...)...)
}

// object checks the attributes of an object against those that its names have in the schema.
func (s ocsfSchema) object(path string, object map[string]any, names ...string) (wrong []error) {
	blame := func(format string, a ...any) { wrong = append(wrong, fmt.Errorf(path+": "+format, a...)) }
	known := map[string]ocsfAttribute{}
	for _, name := range names {
		if s.attributes[name] == nil {
			blame("the schema has no %s", name)
		}
		for k, a := range s.attributes[name] {
			known[k] = a
		}
		has := func(k string) bool { return object[k] != nil }
		if keys := s.oneOf[name]; keys != nil && !slices.ContainsFunc(keys, has) {
			blame("has none of %v", keys)
		}
	}
	for k, a := range known {
		if a.required && object[k] == nil {
			blame("%s is missing", k)
		}
	}
	for k, v := range object {
		a, ok := known[k]
		if !ok {
			blame("%s is no attribute", k)
			continue
		}
		values, isArray := v.([]any)
		if isArray != a.array {
			blame("%s: the schema has it as an array: %v", k, a.array)
		}
		if !isArray {
			values = []any{v}
		}
		for _, v := range values {
			if len(a.values) > 0 && !slices.Contains(a.values, fmt.Sprint(v)) {
				blame("%s: no value of the enumeration: %v", k, v)
			}
			inner, isObject := v.(map[string]any)
			switch {
			case a.kind == "object" && isObject:
			case isObject:
				wrong = append(wrong, s.object(path+"."+k, inner, a.kind)...)
			case !hasOCSFType(a.kind, v):
				blame("%s: %v is no %s", k, v, a.kind)
			}
		}
	}
	return wrong
}

// hasOCSFType checks a value against dictionary.json's types.
func hasOCSFType(kind string, v any) bool {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	integer, err := strconv.ParseInt(number.String(), 10, 64)
	isInteger := isNumber && err == nil
	switch kind {
	case "string_t", "hostname_t":
		return isText
	case "mac_t": // six bytes in hex, with colons or hyphens
		_, err := net.ParseMAC(text)
		return isText && err == nil
	case "ip_t": // a string of at most 40 characters
		_, err := netip.ParseAddr(text)
		return isText && err == nil && len(text) <= 40
	case "integer_t":
		return isInteger && math.MinInt32 <= integer && integer <= math.MaxInt32
	case "port_t":
		return isInteger && 0 <= integer && integer <= 65535
	case "long_t":
		return isInteger
	case "timestamp_t": // milliseconds, and not seconds or nanoseconds: from 2001 to 2286
		return isInteger && (integer == 0 || 1e12 <= integer && integer < 1e13)
	}
	return false
}

func ocsfEvent(t *testing.T, line string) (event map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&event); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return event
}

// The validator finds what it is there to find.
func TestOCSFValidatorFindsFaults(t *testing.T) {
	s := loadOCSFSchema(t)
	lines := ocsfEvents(t)
	start, host := lines[0], lines[1+len(everyEvent())] // which come when they happen
	findings, _ := encode(t, newOCSF, unaccompanied([]results.Notice{&sampleViolation}))
	finding := findings[0]
	for _, fault := range []struct{ line, old, new string }{
		{host, `"category_uid":5`, `"category_uid":6`},
		{host, `"class_uid":5001`, `"class_uid":5012`},
		{host, `"activity_id":2,"type_uid":500102`, `"activity_id":3,"type_uid":500103`},
		{host, `"type_uid":500102`, `"type_uid":500101`},
		{host, `"severity_id":1,`, ``},
		{host, `"severity_id":1`, `"severity_id":7`},
		{host, `"time":1795`, `"time":1795000000`}, // nanoseconds
		{host, `"device":`, `"src_endpoint":`},
		{host, `"device":{"type_id":0,`, `"device":{`},
		{host, `"port":`, `"port":"22","number":`},
		{host, `{"port":`, `{"port":-`},
		{host, `{"port":`, `{"port":7`}, // 7 and five digits
		{host, `"version":"1.6.0"`, `"version":"1.0.0"`},
		{host, `"product":{"name":"Synoptic","vendor_name":"Synoptic",`, `"product":{`},
		{host, `"open_ports":[`, `"services":[`},
		{host, `"network_interfaces":[`, `"network_interfaces":7,"interfaces":[`},
		{start, `"profiles":["host"]`, `"profiles":[]`},
		{start, `"profiles":["host"]`, `"profiles":"host"`},
		{start, `"scan":{`, `"job":{`},
		{start, `"scan":{"type_id":0`, `"scan":{"type_id":8`},
		{start, `"start_time":`, `"start_time":"now","started":`},
		{finding, `"class_uid":2003`, `"class_uid":2001`},
		{finding, `"activity_id":1,"type_uid":200301`, `"activity_id":4,"type_uid":200304`},
		{finding, `"finding_info":{"uid":`, `"finding_info":{"id":`},
		{finding, `"compliance":{`, `"conformity":{`},
		{finding, `"standards":["policy.yaml"]`, `"standards":"policy.yaml"`},
		{finding, `"status_id":3,"status":"Fail"`, `"status_id":4`},
		{finding, `"first_seen_time":1795`, `"first_seen_time":1795000000`},
		{finding, `"resources":[{`, `"resources":[{"port":1,`},
	} {
		broken := strings.Replace(fault.line, fault.old, fault.new, 1)
		if broken == fault.line {
			t.Errorf("%s is not in %s", fault.old, fault.line)
		}
		if len(s.validate(t, broken)) == 0 {
			t.Errorf("%s instead of %s goes unnoticed", fault.new, fault.old)
		}
	}
}
