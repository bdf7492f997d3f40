package report

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"synoptic/results"
)

//go:embed page
var files embed.FS

// scripts are put together in this order, to one.
var scripts = []string{"decode.js", "search.js", "map.js", "layers.js", "tables.js", "page.js"}

var (
	style  = read("style.css")
	script = strings.Join([]string{"\"use strict\";\n(() => {\n", read(scripts...), "})();\n"}, "")
	pages  = template.Must(template.New("").Funcs(template.FuncMap{"grouped": func(n int) string { return results.Grouped(n) }}).ParseFS(files, "page/page.html"))
	// policy lets nothing in but style and script by their hashes (CSP Level 3), and the script write no HTML (Trusted Types).
	policy = "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) + "; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types"
)

// read is what embedded files have in them.
func read(names ...string) string {
	var all strings.Builder
	for _, name := range names {
		b, err := files.ReadFile("page/" + name)
		if err != nil {
			panic(err) // it is in the program
		}
		all.Write(b)
	}
	return all.String()
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page is what the templates show.
type page struct {
	Policy, Title, About string
	Style                template.CSS
	Script               template.JS
	Figures              []figure
	Newest               *completeness
	Warnings             []string
	AnyOpen, Hours       bool
	Tops                 []top
	Chart                *chart
	Days                 []dayOfChanges
	NoChanges            string
	Scans                []scanRow
	Earlier              int

	in *Input
}

type figure struct{ Value, Label string }

type top struct {
	Caption, Head, Unit string
	Rows                []count
	More                int
}

// completeness is how far the newest scan can be trusted.
type completeness struct {
	Sentence, Label string
	Known           bool
	Width           int // of the known part, of 400
}

type scanRow struct{ Begun, Ended, From, Space, Open, Known, Unknown, Complete, Command string }

// maxRows bounds the table of scans.
const maxRows = 14

func newPage(in *Input, s *summary) *page {
	p := &page{
		Policy: policy, Title: fit(cmp.Or(in.Title, "Open TCP ports")), Style: template.CSS(style), Script: template.JS(script),
		About: about(in), Figures: figures(in, s), Warnings: s.warnings(), AnyOpen: s.states[Open] > 0, Hours: in.Grain >= time.Hour, in: in,
	}
	if n := len(in.Scans); n > 0 {
		p.Newest = complete(&in.Scans[n-1])
	}
	ports, morePorts := most(s.ports, 10, portName)
	services, moreServices := most(s.services, 10, asIs)
	rules, moreRules := most(s.byRule, 10, asIs)
	severities, moreSeverities := most(s.bySeverity, 10, asIs)
	p.Tops = []top{
		{"Open ports", "Port", "Open", ports, morePorts},
		{"Services", "Service", "Open", services, moreServices},
		{"Violations by rule", "Rule", "Endpoints", rules, moreRules},
		{"Violations by severity", "Severity", "Endpoints", severities, moreSeverities},
	}
	p.Days = s.sortedDays()
	p.Chart = newChart(p.Days)
	slices.Reverse(p.Days)
	p.Days = p.Days[:min(len(p.Days), maxRows)]
	p.NoChanges = "No change is known."
	if in.Changes == nil {
		p.NoChanges = "Nothing can be said of changes: no two of the scans are known to have asked the same endpoints."
	}
	for i := range slices.Backward(in.Scans) {
		if len(p.Scans) == maxRows {
			p.Earlier = i + 1
			break
		}
		p.Scans = append(p.Scans, newScanRow(&in.Scans[i]))
	}
	return p
}

func (p *page) head(w io.Writer) error { return pages.ExecuteTemplate(w, "head", p) }
func (p *page) tail(w io.Writer) error { return pages.ExecuteTemplate(w, "tail", p) }

// about is by whom and when.
func about(in *Input) string {
	words := []string{"Made " + moment(in.Made)}
	if in.By != "" {
		words[0] += " by " + in.By
	}
	if n := len(in.Scans); n > 0 {
		from := map[string]bool{}
		var names []string
		for i := range in.Scans {
			if v := fit(in.Scans[i].Vantage); v != "" && !from[v] {
				from[v] = true
				names = append(names, v)
			}
		}
		scans := results.Count(uint64(n), "scan", "scans")
		switch len(names) {
		case 0:
		case 1, 2, 3:
			scans += " from " + strings.Join(names, ", ")
		default:
			scans += fmt.Sprintf(" from %d vantage points", len(names))
		}
		words = append(words, scans)
		first, last := &in.Scans[0], &in.Scans[n-1]
		words = append(words, moment(first.Begin)+" to "+moment(cmp.Or(last.End, last.Begin)))
	}
	return strings.Join(words, " · ")
}

func figures(in *Input, s *summary) (all []figure) {
	say := func(n int, one, many string) {
		if n != 1 {
			one = many
		}
		all = append(all, figure{results.Grouped(n), one})
	}
	say(s.states[Open], "open endpoint", "open endpoints")
	say(s.hosts, "host with open ports", "hosts with open ports")
	if n := s.states[Unknown]; n > 0 {
		say(n, "was open, now unknown", "were open, now unknown")
	}
	if n := s.states[Closed] + s.states[Filtered] + s.states[Shut]; n > 0 {
		say(n, "endpoint not open", "endpoints not open")
	}
	if in.Changes != nil {
		say(s.changed, "change", "changes")
	}
	if in.Violations != nil {
		say(s.violated, "violation of the policy", "violations of the policy")
	}
	return all
}

func complete(c *Scan) *completeness {
	what := "The newest scan"
	if c.Addresses > 0 && c.Ports > 0 {
		what += fmt.Sprintf(" of %s × %s", results.Count(c.Addresses, "address", "addresses"), results.Count(uint64(c.Ports), "port", "ports"))
	}
	if c.Vantage != "" {
		what += " from " + fit(c.Vantage)
	}
	what += ", begun " + moment(c.Begin) + ","
	r := c.Result
	if r == nil {
		return &completeness{Sentence: what + " has no end in the records: how much was asked is unknown."}
	}
	known := &completeness{Known: true, Width: int(400 * r.Coverage)}
	if r.Complete {
		what += " is complete"
	} else {
		what += " is not complete"
	}
	switch r.Evidence {
	case results.EvidenceStateHeld:
		what += ", and evidence held: what was silent was asked while others answered"
	case results.EvidenceStateLost:
		what += ", and evidence was lost for a part: that part is unknown"
	case results.EvidenceStateNone:
		what += ", and nothing answered: silence proves nothing"
	default:
		what += "; no evidence of it is kept, so silence proves little"
	}
	known.Sentence = what + "."
	known.Label = percent(r.Coverage) + " of what was to be asked is known"
	if r.Unknown > 0 {
		known.Label += ", " + percent(max(0, 1-r.Coverage)) + " is unknown: " + results.Count(r.Unknown, "endpoint", "endpoints")
	}
	if r.Loss != nil {
		known.Label += fmt.Sprintf("; packets lost there and back: %s (%s to %s)", percent(r.Loss.Value), percent(r.Loss.Low), percent(r.Loss.High))
	}
	if r.Missed != nil {
		known.Label += fmt.Sprintf("; open ports missed: %.1f (%.1f to %.1f)", r.Missed.Value, r.Missed.Low, r.Missed.High)
	}
	known.Label += "."
	return known
}

func newScanRow(c *Scan) scanRow {
	row := scanRow{
		Begun: strings.TrimSuffix(moment(c.Begin), " UTC"), Ended: strings.TrimSuffix(moment(c.End), " UTC"), From: fit(c.Vantage), Command: fit(c.Command),
		Open: "–", Known: "not known", Unknown: "not known", Complete: "not known",
	}
	if c.Addresses > 0 {
		row.Space = results.Grouped(c.Addresses) + " × " + results.Grouped(c.Ports)
	}
	if r := c.Result; r != nil {
		row.Open, row.Known, row.Unknown, row.Complete = results.Grouped(r.Open), percent(r.Coverage), results.Grouped(r.Unknown), "yes"
		if !r.Complete {
			row.Complete = "no"
		}
	}
	return row
}

// pageMeta is what the script knows besides the tables.
type pageMeta struct {
	Tables     []tableMeta   `json:"tables"`
	Squares    []square      `json:"squares"`
	Covered    []coveredMeta `json:"covered"`
	Changes    bool          `json:"changes"`    // they can be told
	Violations bool          `json:"violations"` // a policy was checked
	Hosts6     int           `json:"hosts6"`     // with open ports, beside the map
}

func (p *page) meta(packed *packer, s *summary) pageMeta {
	return pageMeta{
		Tables: packed.meta(), Squares: squares(packed.networks, p.in.Covered), Covered: drawn(p.in.Covered),
		Changes: p.in.Changes != nil, Violations: p.in.Violations != nil, Hosts6: s.hosts6,
	}
}
