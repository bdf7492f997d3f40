package dest

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// An option that is wrong is named, unless it may be a secret that has lost its name.
func TestOptions(t *testing.T) {
	for raw, want := range map[string]string{
		"hec+https://h/?indx=net":             `unknown option "indx"`,
		"hec+https://h/?source-type=x":        `unknown option "source-type"`,
		"hec+https://h/?index=":               `"index" of the URL is empty`,
		"hec+https://h/?index":                `"index" of the URL is empty`,
		"hec+https://h/?index=a&index=b":      `"index" is given twice`,
		"hec+https://h/?facility=local0":      `unknown option "facility"`,
		"syslog+tcp://h?index=a":              `unknown option "index"`,
		"syslog+tls://h?app=a&app=b":          `"app" is given twice`,
		"elastic+https://h/?refresh=true":     `unknown option "refresh"`,
		"unix:/run/x?facility=local0":         `unknown option "facility"`,
		"hec+https://h/?hunter":               "an unknown option",
		"hec+https://h/?Hunter2hunter2=x":     "an unknown option",
		"hec+https://h/?abcdefghijklmnopqr=x": "an unknown option",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		_, err = options(u)
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Error(), want) || !strings.Contains(e.Hint(), "secrets are given") {
			t.Errorf("%s: %v", raw, err)
		} else if strings.Contains(strings.ToLower(e.Error()+e.Hint()), "hunter") || strings.Contains(e.Error(), "abcdef") {
			t.Errorf("%s: repeated: %v", raw, err)
		}
	}
	for _, o := range URLOptions() {
		if o.Meaning == "" || len(o.Schemes) == 0 {
			t.Errorf("%+v is not described", o)
		}
		for _, scheme := range o.Schemes {
			if u := (&url.URL{Scheme: scheme, RawQuery: o.Name + "=x"}); !IsURL(scheme) || !slices.Contains(known[scheme], o.Name) {
				t.Errorf("%s: not taken", u)
			} else if _, err := options(u); err != nil {
				t.Errorf("%s: %v", u, err)
			}
		}
	}
}
