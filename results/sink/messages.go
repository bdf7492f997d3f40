package sink

import (
	"fmt"
	"slices"
	"strings"

	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
)

// messagesOnly is the refusal of a format that has no messages for a receiver of these.
func messagesOnly(name, to string) error {
	kind, _, _ := strings.Cut(to, ":")
	if before, _, ok := strings.Cut(kind, "+"); ok {
		kind = before
	}
	what := map[string]string{"hec": "Splunk's HTTP Event Collector", "elastic": "Elasticsearch", "unix": "a socket"}[kind]
	if what == "" {
		what = kind
	}
	names := slices.DeleteFunc(format.Names(), func(n string) bool { f, _ := format.Lookup(n); return !f.Messages })
	last := len(names) - 1
	return &Error{dest.Redact(name + ":" + to), fmt.Errorf("%s takes one JSON object per message, and %s has none", what, name), "",
		"use " + strings.Join(names[:last], ", ") + " or " + names[last] + ", or write " + name + " to a file"}
}
