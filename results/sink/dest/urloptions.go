package dest

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// URLOption is an option behind the "?" of a destination's URL. None of them is a secret.
type URLOption struct {
	Name, Meaning string
	Schemes       []string // that take it
}

var (
	syslogs    = []string{"syslog+tcp", "syslog+tls"}
	urlOptions = []URLOption{
		{"sourcetype", "Splunk's source type of the events (default synoptic:json)", []string{"hec+https"}},
		{"index", "Splunk's index (default that of the token)", []string{"hec+https"}},
		{"ack", "whether Splunk confirms by indexer acknowledgement", []string{"hec+https"}},
		{"_time_field", "the field that VictoriaLogs takes for the time, @timestamp of ecs (default the time of arrival)", []string{"elastic+https"}},
		{"_msg_field", "the field that VictoriaLogs takes for the message, message of ecs", []string{"elastic+https"}},
		{"_stream_fields", "the fields that name a stream of VictoriaLogs, separated by commas", []string{"elastic+https"}},
		{"facility", "syslog facility, a name or a number (default local0)", syslogs},
		{"hostname", "host name in the syslog header (default this host's)", syslogs},
		{"app", "application name in the syslog header (default synoptic)", syslogs},
		{"resend", "size of what is kept for a receiver that never confirms, to be sent again (default 32M)", append([]string{"unix"}, syslogs...)},
	}
)

// URLOptions are the options that URLs take.
func URLOptions() []URLOption { return slices.Clone(urlOptions) }

// known are the names of the options that the URLs of a scheme take.
var known = func() map[string][]string {
	names := map[string][]string{}
	for _, o := range urlOptions {
		for _, scheme := range o.Schemes {
			names[scheme] = append(names[scheme], o.Name)
		}
	}
	return names
}()

// options takes the options of a URL: known ones, each once and with a value.
func options(u *url.URL) (url.Values, error) {
	names := known[u.Scheme]
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, optionError(names, "an option in the URL that cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		values := q[name]
		switch {
		case slices.Contains(names, name) && len(values) > 1:
			return nil, optionError(names, fmt.Sprintf("the option %q is given twice in the URL", name))
		case slices.Contains(names, name) && values[0] == "":
			return nil, optionError(names, fmt.Sprintf("the option %q of the URL is empty", name))
		case slices.Contains(names, name):
		case values[0] != "" && len(name) <= 16 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_-") == "":
			return nil, optionError(names, fmt.Sprintf("unknown option %q in the URL", name))
		default: // it may be a value that has lost its name, and a secret
			return nil, optionError(names, "an unknown option in the URL")
		}
	}
	return q, nil
}

func optionError(names []string, what string) error {
	hint := "this destination takes none"
	if len(names) > 0 {
		hint = "it takes " + strings.Join(names, "=…, ") + "=…, each once"
	}
	return newError("", errors.New(what), hint+"; secrets are given by the environment or by a file")
}
