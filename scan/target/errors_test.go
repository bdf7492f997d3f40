package target

import (
	"errors"
	"testing"
)

// An error names the field of Config that the word at fault came from.
func TestErrorField(t *testing.T) {
	_, ports := ParsePorts("80,0")
	_, top := TopPorts(0)
	for _, c := range []struct {
		name   string
		config Config
		err    error // in place of Load's
		want   string
	}{
		{"target", Config{Targets: []string{"10.0.0.300"}}, nil, "Targets"},
		{"target in a file", Config{TargetFiles: []string{"bad"}}, nil, "TargetFiles"},
		{"no such file", Config{TargetFiles: []string{"missing"}}, nil, "TargetFiles"},
		{"name in a file", Config{TargetFiles: []string{"name"}}, nil, "TargetFiles"},
		{"exclusion", Config{Targets: []string{"10.0.0.1"}, Exclude: []string{"10.0.0.300"}}, nil, "Exclude"},
		{"exclusion in a file", Config{Targets: []string{"10.0.0.1"}, ExcludeFiles: []string{"bad"}}, nil, "ExcludeFiles"},
		{"scope", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"bad"}}, nil, "ScopeFiles"},
		{"name in a scope", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"name"}}, nil, "ScopeFiles"},
		{"empty scope", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"empty"}}, nil, "ScopeFiles"},
		{"none authorized", Config{Targets: []string{"8.0.0.0/8"}}, nil, "ScopeFiles"},
		{"outside the scope", Config{Targets: []string{"10.0.0.2"}, ScopeFiles: []string{"one"}}, nil, "Targets"},
		{"no ports", Config{Targets: []string{"10.0.0.1"}, Ports: &Ports{}}, nil, "Ports"},
		{"bad ports", Config{}, ports, "Ports"},
		{"top ports", Config{}, top, "Ports"},
	} {
		err := c.err
		if err == nil {
			if c.config.Ports == nil {
				c.config.Ports = mustPorts(t, "80")
			}
			c.config.Open = files{"bad": "10.0.0.300", "name": "nope", "empty": "", "one": "10.0.0.1"}.open
			c.config.Resolve = testNames.resolve
			_, err = Load(t.Context(), c.config)
		}
		var e *Error
		if !errors.As(err, &e) || e.Field() != c.want {
			t.Errorf("%s: field %q of %v, want %s", c.name, e.Field(), err, c.want)
		}
	}
}
