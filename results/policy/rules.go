package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"synoptic/results"
	"synoptic/results/spelling"
)

// policy reads the whole file. Sets come before what uses them, wherever they stand.
func (r *reader) policy(root *yaml.Node) error {
	at := map[string]*yaml.Node{}
	if err := r.fields(root, "the policy", []string{"version", "vantage", "sets", "rules", "exceptions"}, func(key string, value *yaml.Node) error {
		at[key] = value
		return nil
	}); err != nil {
		return err
	}
	switch {
	case at["version"] == nil:
		return r.wrong(root, fileHint, "version is missing")
	case at["rules"] == nil:
		return r.wrong(root, "write rules: [] where nothing may be open", "rules are missing")
	}
	for _, part := range []struct {
		key  string
		read func(*yaml.Node) error
	}{{"version", r.version}, {"vantage", r.vantages}, {"sets", r.readSets}, {"rules", r.rules}, {"exceptions", r.exceptions}} {
		if n := at[part.key]; n != nil {
			if err := part.read(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) version(n *yaml.Node) error {
	text, err := r.text(n, "version")
	if err == nil && text != "1" {
		err = r.wrong(n, "write version: 1; a policy of a newer version needs a newer synoptic", "version %s is not known", short(text))
	}
	return err
}

func (r *reader) vantages(n *yaml.Node) (err error) {
	r.p.Vantages, err = r.texts(n, "vantage")
	return err
}

func (r *reader) rules(n *yaml.Node) error {
	if err := r.plain(n, "rules"); err != nil {
		return err
	}
	if n.Kind != yaml.SequenceNode {
		return r.wrong(n, "write rules: and below it one - name: … for each", "rules are no list")
	}
	lines := map[string]int{}
	for _, e := range n.Content {
		if err := r.rule(e, lines); err != nil {
			return err
		}
	}
	return nil
}

const ruleHint = "a rule has a name, to, and one of allow, deny and require: {name: web, to: 10.30.0.0/16, allow: {ports: [80, 443]}}"

// rule reads one rule; lines are those of the names so far.
func (r *reader) rule(n *yaml.Node, lines map[string]int) error {
	rule := Rule{Line: n.Line}
	severity := results.SeverityNone
	err := r.fields(n, "a rule", []string{"name", "to", "from", "allow", "deny", "require", "severity", "owner"}, func(key string, v *yaml.Node) (err error) {
		switch key {
		case "name":
			rule.Name, err = r.name(v, lines)
		case "to":
			rule.To, err = r.addresses(v, "to")
		case "from":
			rule.From, err = r.from(v)
		case "allow":
			rule.Allow, err = r.terms(v, key)
		case "deny":
			rule.Deny, err = r.terms(v, key)
		case "require":
			rule.Require, err = r.terms(v, key)
		case "severity":
			severity, err = r.severity(v)
		case "owner":
			rule.Owner, err = r.text(v, key)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case rule.Name == "":
		return r.wrong(n, ruleHint, "a rule without a name")
	case rule.To == nil:
		return r.wrong(n, "write to: any where it is about every address", "rule %q does not say to which addresses", rule.Name)
	case rule.Allow == nil && rule.Deny == nil && rule.Require == nil:
		return r.wrong(n, ruleHint, "rule %q neither allows, denies nor requires anything", rule.Name)
	}
	for _, t := range []*Terms{rule.Allow, rule.Deny, rule.Require} {
		if t != nil {
			t.Severity = orElse(t.Severity, severity)
		}
	}
	for _, t := range []*Terms{rule.Allow, rule.Require} {
		if t == nil || rule.Deny == nil || (&clause{terms: rule.Deny}).conditional() {
			continue
		}
		if port, both := common(t.Ports, rule.Deny.Ports); both {
			return r.wrong(n, "leave it out of one of them", "rule %q denies port %d, which it allows or requires, too", rule.Name, port)
		}
	}
	r.p.Rules = append(r.p.Rules, rule)
	return nil
}

func (r *reader) name(n *yaml.Node, lines map[string]int) (string, error) {
	name, err := r.text(n, "name")
	switch {
	case err != nil:
		return "", err
	case name == RuleDefault || name == RuleSuspect:
		return "", r.wrong(n, "choose another name", "the name %q stands in records where no rule decides", name)
	case lines[name] != 0:
		return "", r.wrong(n, "give every rule a name of its own", "rule %q is already in line %d", name, lines[name])
	}
	lines[name] = n.Line
	return name, nil
}

// from reads names of vantage points. One that the policy does not list is a place where nobody scans, unless it is misspelt.
func (r *reader) from(n *yaml.Node) ([]string, error) {
	names, err := r.texts(n, "from")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if slices.Contains(r.p.Vantages, name) {
			continue
		}
		if meant := spelling.Nearest(name, r.p.Vantages); meant != "" {
			return nil, r.wrong(n, "did you mean "+meant+"? If not, list "+name+" in vantage, too", "unknown vantage point %q", name)
		}
	}
	return names, nil
}

func (r *reader) severity(n *yaml.Node) (results.Severity, error) {
	word, err := r.text(n, "severity")
	if err != nil {
		return results.SeverityNone, err
	}
	s := results.ParseSeverity(strings.ToLower(word))
	if s == results.SeverityNone {
		hint := "severities are " + oneOf(results.SeverityNames())
		if meant := spelling.Nearest(word, results.SeverityNames()); meant != "" {
			hint = "did you mean " + meant + "?"
		}
		return s, r.wrong(n, hint, "unknown severity %q", short(word))
	}
	return s, nil
}

// terms reads what a rule allows, denies or requires.
func (r *reader) terms(n *yaml.Node, what string) (*Terms, error) {
	t := &Terms{}
	err := r.fields(n, what, []string{"ports", "service", "unit", "exe", "severity"}, func(key string, v *yaml.Node) (err error) {
		switch key {
		case "ports":
			t.Ports, err = r.ports(v)
		case "service":
			t.Services, err = r.texts(v, key)
			for i := range t.Services {
				t.Services[i] = strings.ToLower(t.Services[i])
			}
		case "unit":
			t.Units, err = r.patterns(v, key)
		case "exe":
			t.Exes, err = r.patterns(v, key)
		case "severity":
			t.Severity, err = r.severity(v)
		}
		return err
	})
	if err == nil && t.Ports == nil {
		err = r.wrong(n, "write ports: any where it is about every port", "%s does not say which ports", what)
	}
	return t, err
}

// patterns reads patterns of path.Match.
func (r *reader) patterns(n *yaml.Node, what string) ([]string, error) {
	all, err := r.texts(n, what)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if _, err := path.Match(p, ""); err != nil {
			return nil, r.wrong(n, `* stands for any characters but /, [ begins a list of characters: \[ is the character`, "%s: %q is no pattern", what, short(p))
		}
	}
	return all, nil
}

func (r *reader) exceptions(n *yaml.Node) error {
	if err := r.plain(n, "exceptions"); err != nil {
		return err
	}
	if n.Kind != yaml.SequenceNode {
		return r.wrong(n, "write exceptions: and below it one - {…} for each", "exceptions are no list")
	}
	for _, e := range n.Content {
		if err := r.exception(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) exception(n *yaml.Node) error {
	x := Exception{Line: n.Line}
	err := r.fields(n, "an exception", []string{"to", "from", "ports", "until", "owner", "ticket"}, func(key string, v *yaml.Node) (err error) {
		switch key {
		case "to":
			x.To, err = r.addresses(v, "to")
		case "from":
			x.From, err = r.from(v)
		case "ports":
			x.Ports, err = r.ports(v)
		case "until":
			x.Until, err = r.day(v)
		case "owner":
			x.Owner, err = r.text(v, key)
		case "ticket":
			x.Ticket, err = r.text(v, key)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, need := range []struct {
		key     string
		missing bool
	}{{"to", x.To == nil}, {"ports", x.Ports == nil}, {"until", x.Until.IsZero()}, {"owner", x.Owner == ""}, {"ticket", x.Ticket == ""}} {
		if need.missing {
			return r.wrong(n, "an exception has an end, an owner and a ticket: {to: 10.20.9.9, ports: 8080, until: 2027-01-31, owner: team-x, ticket: SEC-1234}",
				"an exception without %s", need.key)
		}
	}
	r.p.Exceptions = append(r.p.Exceptions, x)
	return nil
}

// day reads a date, at its beginning in UTC.
func (r *reader) day(n *yaml.Node) (time.Time, error) {
	text, err := r.text(n, "until")
	if err != nil {
		return time.Time{}, err
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1970 || day.Year() > 2200 {
		return time.Time{}, r.wrong(n, "write the last day on which it holds, in UTC: 2027-01-31", "until: %q is no date", short(text))
	}
	return day, nil
}

// required bounds how many endpoints the rules require: each of them is looked up.
func (r *reader) required() error {
	n := uint64(0)
	for i := range r.p.Rules {
		rule := &r.p.Rules[i]
		if rule.Require == nil {
			continue
		}
		ports := uint64(0)
		for _, p := range rule.Require.Ports {
			ports += uint64(p.Last-p.First) + 1
		}
		for _, a := range rule.To {
			w := width(a)
			if w[0] > 0 || w[1] >= maxRequired {
				n = maxRequired + 1
			} else {
				n += (w[1] + 1) * ports
			}
			if n > maxRequired {
				return &Error{File: r.file, Line: rule.Line, hint: "require what must answer, host by host",
					Err: fmt.Errorf("rule %q: more than %d endpoints are required in all", rule.Name, maxRequired)}
			}
		}
	}
	return nil
}
