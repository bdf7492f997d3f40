package monitor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"synoptic/ratelimit"
)

// Parse reads a configuration from YAML (docs/monitor.md, "Configuration"). It is strict: a key that is not known, or is there
// twice, is an error. Source is the file's name, for errors, which are of type *Error and have the line. Times of day are
// those of local where the file names no time zone.
func Parse(source string, data []byte, local *time.Location) (Config, error) {
	c := Default()
	r := reader{config: &c, zone: local, lines: map[string]int{}}
	err := r.document(data)
	if err == nil {
		err = c.Check()
	}
	if err == nil {
		return c, nil
	}
	if bad, ok := errors.AsType[*Error](err); ok {
		bad.Source = source
		bad.Line = cmp.Or(bad.Line, r.lines[bad.field])
	}
	return Config{}, err
}

// reader takes a document key by key.
type reader struct {
	config *Config
	zone   *time.Location
	lines  map[string]int // of the keys at the top
}

// keys are what a mapping may have.
type keys map[string]func(value *yaml.Node) error

// yamlError is how the YAML library says where a file is wrong.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

const fileHint = "a configuration has keys and values, one a line: budget_pps: 3889"

func (r *reader) document(data []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return refuse(0, "", fileHint, "the configuration is empty")
	case err != nil:
		line, why := 1, err.Error()
		if m := yamlError.FindStringSubmatch(why); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil { // the first line is not told
				line = n
			}
			why = m[2]
		}
		return refuse(line, "", "values with : # * & [ or { are written in quotes", "not YAML: %s", why)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return refuse(max(more.Line, 1), "", "keep one configuration in a file", "a second document begins")
	}
	root := doc.Content[0]
	if err := r.zoneFirst(root); err != nil {
		return err
	}
	version := false
	err := mapping(root, "", keys{
		"version":      func(v *yaml.Node) error { version = true; return versionOf(v) },
		"budget_pps":   func(v *yaml.Node) error { return rateOf(v, "budget_pps", &r.config.Budget) },
		"max_age":      func(v *yaml.Node) error { return durationOf(v, "max_age", &r.config.MaxAge) },
		"open_max_age": func(v *yaml.Node) error { return durationOf(v, "open_max_age", &r.config.OpenMaxAge) },
		"exploration":  func(v *yaml.Node) error { return shareOf(v, "exploration", &r.config.Exploration) },
		"confirm":      r.confirm,
		"predicted":    r.predicted,
		"stop_file":    func(v *yaml.Node) error { return textOf(v, "stop_file", &r.config.StopFile) },
		"time_zone":    func(*yaml.Node) error { return nil }, // zoneFirst has it
		"windows":      func(v *yaml.Node) (err error) { r.config.Windows, err = r.windows(v); return err },
		"networks":     func(v *yaml.Node) error { return list(v, "networks", r.network) },
		"expect":       r.expect,
	}, r.lines)
	switch {
	case err != nil:
		return err
	case !version:
		return refuse(1, "version", "write version: 1", "the configuration does not say its version")
	case r.lines["max_age"] == 0:
		return refuse(1, "max_age", "write max_age: 24h", "the configuration does not say how old an endpoint may get")
	}
	return nil
}

// mapping gives each value to its key's function. At, if not nil, gets the lines of the keys.
func mapping(node *yaml.Node, in string, known keys, at map[string]int) error {
	if node.Kind != yaml.MappingNode {
		return refuse(node.Line, in, fileHint, "%skeys and values are wanted", prefix(in))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		take, ok := known[key.Value]
		switch {
		case !ok:
			return refuse(key.Line, cmp.Or(in, key.Value), "the keys here are "+strings.Join(sorted(known), ", "), "%sunknown key %q", prefix(in), key.Value)
		case seen[key.Value] > 0:
			return refuse(key.Line, cmp.Or(in, key.Value), "keep one of them", "%s%s is already in line %d", prefix(in), key.Value, seen[key.Value])
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			return refuse(value.Line, cmp.Or(in, key.Value), "write the value out", "%s%s: anchors and aliases are not supported", prefix(in), key.Value)
		}
		seen[key.Value] = key.Line
		if at != nil {
			at[key.Value] = key.Line
		}
		if err := take(value); err != nil {
			return err
		}
	}
	return nil
}

func prefix(in string) string {
	if in == "" {
		return ""
	}
	return in + ": "
}

func sorted(k keys) []string {
	names := make([]string, 0, len(k))
	for name := range k {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// list gives each entry of a list to a function.
func list(node *yaml.Node, key string, take func(*yaml.Node) error) error {
	if node.Kind != yaml.SequenceNode {
		return refuse(node.Line, key, "write a list, each entry behind a dash", "%s: a list is wanted", key)
	}
	for _, entry := range node.Content {
		if err := take(entry); err != nil {
			return err
		}
	}
	return nil
}

func textOf(v *yaml.Node, key string, to *string) error {
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" || strings.TrimSpace(v.Value) == "" {
		return refuse(v.Line, key, "give a value, or leave the line out", "%s: a value is wanted", key)
	}
	*to = v.Value
	return nil
}

func versionOf(v *yaml.Node) error {
	if v.Value != "1" {
		return refuse(v.Line, "version", "write version: 1", "version: %q, and this program knows 1", v.Value)
	}
	return nil
}

func rateOf(v *yaml.Node, key string, to *float64) error {
	var text string
	if err := textOf(v, key, &text); err != nil {
		return err
	}
	rate, err := ratelimit.ParseRate(text)
	if err != nil {
		hint := "give probes per second"
		if bad, ok := errors.AsType[*ratelimit.RateError](err); ok {
			hint = bad.Hint()
		}
		return refuse(v.Line, key, hint, "%s: %w", key, err)
	}
	*to = rate
	return nil
}

// durationOf reads 90s, 24h, 1h30m and days, 7d.
func durationOf(v *yaml.Node, key string, to *time.Duration) error {
	var text string
	if err := textOf(v, key, &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); err != nil && ok {
		if n, bad := strconv.ParseUint(days, 10, 16); bad == nil {
			d, err = time.Duration(n)*24*time.Hour, nil
		}
	}
	if err != nil || d <= 0 {
		return refuse(v.Line, key, "give a time above zero, such as 90s, 10m, 24h or 7d", "%s: %q is no time", key, text)
	}
	if d > 365*24*time.Hour {
		return refuse(v.Line, key, "give a year at most", "%s: %q is more than a year", key, text)
	}
	*to = d
	return nil
}

// shareOf reads a percentage, or a share from 0 to 1.
func shareOf(v *yaml.Node, key string, to *float64) error {
	var text string
	if err := textOf(v, key, &text); err != nil {
		return err
	}
	digits, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(digits, 64)
	if percent {
		share /= 100
	}
	if err != nil || math.IsNaN(share) || share < 0 || share > 1 {
		return refuse(v.Line, key, "give a share such as 10% or 0.1", "%s: %q is no share", key, text)
	}
	*to = share
	return nil
}

func (r *reader) confirm(v *yaml.Node) error {
	r.config.Confirm = nil
	return list(v, "confirm", func(entry *yaml.Node) error {
		var d time.Duration
		err := durationOf(entry, "confirm", &d)
		r.config.Confirm = append(r.config.Confirm, d)
		return err
	})
}

func (r *reader) predicted(v *yaml.Node) error {
	if v.Value == "0" {
		r.config.Predicted = 0
		return nil
	}
	var n float64 // the notation of rates: 5M
	if err := rateOf(v, "predicted", &n); err != nil || n > maxPredicted || n != math.Trunc(n) {
		return refuse(v.Line, "predicted", "give a number of endpoints up to 50M, such as 5M", "predicted: %q is no number of endpoints", v.Value)
	}
	r.config.Predicted = int(n)
	return nil
}

func (r *reader) expect(v *yaml.Node) error {
	of := func(key string, to *float64) func(*yaml.Node) error {
		return func(v *yaml.Node) error {
			err := shareOf(v, "expect", to)
			*to *= perDay
			return err
		}
	}
	e := &r.config.Expect
	return mapping(v, "expect", keys{"open": of("open", &e.Open), "predicted": of("predicted", &e.Predicted), "other": of("other", &e.Other)}, nil)
}

func (r *reader) network(v *yaml.Node) error {
	var n Network
	err := mapping(v, "networks", keys{
		"to": func(v *yaml.Node) error {
			p, err := netip.ParsePrefix(v.Value)
			if err != nil || p != p.Masked() {
				hint := "give a prefix such as 10.20.0.0/16"
				if err == nil {
					hint = fmt.Sprintf("write %v", p.Masked())
				}
				return refuse(v.Line, "networks", hint, "networks: %q is no network", v.Value)
			}
			n.Prefix = p
			return nil
		},
		"max_pps": func(v *yaml.Node) error { return rateOf(v, "networks", &n.MaxRate) },
		"windows": func(v *yaml.Node) (err error) { n.Windows, err = r.windows(v); return err },
	}, nil)
	if err != nil {
		return err
	}
	if !n.Prefix.IsValid() {
		return refuse(v.Line, "networks", "give it a prefix: to: 10.20.0.0/16", "networks: an entry does not say of which network it is")
	}
	if slices.ContainsFunc(r.config.Networks, func(o Network) bool { return o.Prefix == n.Prefix }) {
		return refuse(v.Line, "networks", "keep one of them", "networks: %v is there twice", n.Prefix)
	}
	r.config.Networks = append(r.config.Networks, n)
	return nil
}
