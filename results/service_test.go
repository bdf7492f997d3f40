package results

import (
	"strings"
	"testing"
)

// The fields about the service say what a name rests on, and what a banner shows is there a second time.
func TestServiceFields(t *testing.T) {
	for _, c := range []struct {
		name   string
		source ServiceSource
		want   string
	}{
		{"", ServiceUnsaid, `"syn-ack","range"`},
		{"", ServiceBanner, `"syn-ack","range"`},
		{"ssh", ServiceUnsaid, `"syn-ack","service":"ssh","range"`},
		{"ssh", ServiceIANA, `"syn-ack","service":"ssh","service_source":"iana","range"`},
		{"http-alt", ServiceCommon, `"syn-ack","service":"http-alt","service_source":"common","range"`},
		{"ssh", ServiceBanner, `"syn-ack","service":"ssh","service_source":"banner","detected":"ssh","range"`},
		{`a"b`, ServiceBanner, `"service":"a\"b","service_source":"banner","detected":"a\"b",`},
	} {
		p := samplePort()
		p.Service, p.ServiceSource = c.name, c.source
		line := string(p.AppendJSON(nil, testScan))
		if !strings.Contains(line, c.want) {
			t.Errorf("%+v: %s", c, line)
		}
		got, errs := rewrite(NewReader(strings.NewReader(line + "\n")))
		if len(errs) > 0 || string(got) != line+"\n" {
			t.Errorf("%+v: read again it is %s, errors %v", c, got, errs)
		}
	}
	p := samplePort()
	if p.ServiceSource = ServiceIANA; p.Detected() != "" {
		t.Error("the number alone detects nothing")
	}
}

// A source that this version does not know leaves the name as one without a source.
func TestReadServiceSource(t *testing.T) {
	p := samplePort()
	p.ServiceSource = ServiceIANA
	line := string(p.AppendJSON(nil, testScan)) + "\n"
	for value, want := range map[string]string{`"iana"`: `"service":"https","service_source":"iana",`, `"oracle"`: `"service":"https","range"`, `""`: `"service":"https","range"`, `null`: `"service":"https","range"`} {
		got, errs := rewrite(NewReader(strings.NewReader(strings.Replace(line, `"service_source":"iana"`, `"service_source":`+value, 1))))
		if len(errs) > 0 || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, errors %v", value, got, errs)
		}
	}
	_, errs := rewrite(NewReader(strings.NewReader(strings.Replace(line, `"service_source":"iana"`, `"service_source":1`, 1))))
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), `field "service_source": 1 is not a string`) {
		t.Errorf("errors %v", errs)
	}
}
