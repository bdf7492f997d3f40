package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"synoptic/bench/lab/estate"
	"synoptic/bench/lab/need"
	"synoptic/results/report"
)

// small is a network with everything in it that a report has.
func small(texts []string) report.Input {
	in := estate.Input(estate.Config{Prefix: netip.MustParsePrefix("10.20.0.0/16"), Endpoints: 1500, Scans: 5, Changes: 40, Texts: texts})
	if texts != nil {
		in.Title, in.By, in.Warnings = strings.Join(texts, " "), texts[0], texts
		for i := range in.Scans {
			s := &in.Scans[i]
			s.Vantage, s.Command, s.Result.Error, s.Result.Lost, s.Result.Complete = texts[i], strings.Join(texts[i:], " "), texts[i], texts[:20], false
		}
	}
	return in
}

func written(t testing.TB, in report.Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// nodes are all elements of a page.
func nodes(t *testing.T, page string) (all []*html.Node) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func inside(n *html.Node) (text string) {
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			text += c.Data
		}
	}
	return text
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// complaint says what of a page could fetch or run something that is not ours.
func complaint(all []*html.Node) error {
	number := map[string]int{}
	policy := ""
	for _, n := range all {
		number[n.Data]++
		if n.Data == "meta" && attribute(n, "http-equiv") == "Content-Security-Policy" {
			policy = attribute(n, "content")
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src", a.Key == "srcset", a.Key == "action", a.Key == "data", a.Key == "background", a.Key == "ping", a.Key == "poster":
				return fmt.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case strings.HasSuffix(a.Key, "href") && !strings.HasPrefix(a.Val, "#"):
				return fmt.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	for _, name := range []string{"script", "style", "template", "canvas"} {
		if number[name] != 1 {
			return fmt.Errorf("%d of <%s>", number[name], name)
		}
	}
	for _, name := range []string{"link", "iframe", "object", "embed", "img", "base", "form", "video", "audio", "image", "use", "foreignobject", "frame", "math"} {
		if number[name] != 0 {
			return fmt.Errorf("<%s>", name)
		}
	}
	for _, n := range all {
		if n.Data == "script" || n.Data == "style" {
			sum := sha256.Sum256([]byte(inside(n)))
			if source := n.Data + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(policy, source) {
				return fmt.Errorf("%s is not in the policy %q", source, policy)
			}
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		return fmt.Errorf("policy %q", policy)
	}
	return nil
}

// A page has one script and one style, those of its policy, and nothing that is fetched.
func TestNothingFetched(t *testing.T) {
	page := written(t, small(nil))
	if err := complaint(nodes(t, page)); err != nil || !strings.HasPrefix(page, report.Begin) {
		t.Error(err)
	}
	for _, planted := range []string{"<script>1</script>", `<img src="x">`, `<p onclick="1">`, `<a href="https://evil.example">`, `<p style="color: red">`, `<link rel="icon">`} {
		if complaint(nodes(t, strings.Replace(page, "<main>", "<main>"+planted, 1))) == nil {
			t.Errorf("%s was not found", planted)
		}
	}
	if complaint(nodes(t, strings.Replace(page, "use strict", "use sTrict", 1))) == nil {
		t.Error("another script was not found")
	}
}

// Every script string in every text: none becomes HTML.
func TestHostileTexts(t *testing.T) {
	texts := scripts(t)
	page := written(t, small(texts))
	all := nodes(t, page)
	if err := complaint(all); err != nil {
		t.Error(err)
	}
	plain := nodes(t, written(t, small(nil)))
	known := map[string]bool{}
	for _, n := range plain {
		known[n.Data] = true
	}
	for _, n := range all {
		if !known[n.Data] {
			t.Errorf("<%s> has come in", n.Data)
		}
	}
	markup := page[:strings.Index(page, `<template id="payload">`)]
	shown := ""
	for _, n := range all {
		if n.Data == "main" {
			shown = inside(n)
		}
	}
	some := 0
	for _, s := range texts {
		if strings.ContainsAny(s, "<>") && strings.Contains(markup, s) {
			t.Errorf("as it is: %q", s)
		}
		if strings.Contains(shown, s) {
			some++
		}
	}
	if some < 20 {
		t.Errorf("only %d of %d texts are shown", some, len(texts))
	}
}

// scripts are 200 strings that run in a page which takes texts for HTML, attributes, script or URLs. All of them call hit.
func scripts(t testing.TB) (all []string) {
	t.Helper()
	const run = "window.hit=1;document.title='hit';console.error('hit')"
	pieces := []string{
		`<script>RUN</script>`, `<img src=x onerror="RUN">`, `<svg onload="RUN">`, `<body onload="RUN">`, `<iframe srcdoc="<script>parent.RUN</script>">`,
		`<a href="javascript:RUN" autofocus onfocus="RUN">x</a>`, `<input autofocus onfocus="RUN">`, `<details open ontoggle="RUN">`, `<video><source onerror="RUN">`,
		`<svg><script>RUN</script></svg>`, `<math><mtext><img src=x onerror="RUN"></mtext></math>`, `<style>@import 'http://evil.example/x.css';</style>`,
		`<link rel=stylesheet href=http://evil.example/x.css>`, `<img src=http://evil.example/x.png>`, `<object data=http://evil.example/x>`, `<embed src=http://evil.example/x>`,
		`<meta http-equiv=refresh content="0;url=http://evil.example/">`, `<base href=http://evil.example/>`, `<form action=http://evil.example/><button>x`, `<template><script>RUN</script></template>`,
	}
	wraps := []string{
		"X", `">X`, `'>X`, `</title>X`, `</script>X`, `</template>X`, `</style>X`, `-->X`, `</textarea></noscript>X`, "{{X}}",
	}
	for i := range 200 {
		s := strings.ReplaceAll(wraps[i/len(pieces)], "X", strings.ReplaceAll(pieces[i%len(pieces)], "RUN", run))
		all = append(all, s)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) != 200 {
		t.Fatalf("%d strings", len(all))
	}
	return all
}

func each[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// The figures of the head, and the tables of the summary.
func TestFigures(t *testing.T) {
	at := func(text string, port uint16, state report.State, service string) report.Endpoint {
		return report.Endpoint{Addr: netip.MustParseAddr(text), Port: port, State: state, Service: service}
	}
	page := written(t, report.Input{
		Endpoints: each([]report.Endpoint{
			at("10.0.0.1", 22, report.Unknown, "ssh"), at("10.0.0.1", 80, report.Open, "http"), at("10.0.0.1", 81, report.Open, "http"),
			at("10.0.0.2", 80, report.Closed, ""), at("10.0.0.3", 80, report.Shut, ""), at("10.0.0.4", 80, report.Filtered, ""), at("2001:db8::1", 80, report.Open, "http"),
		}),
		Changes: each([]report.Change{
			{Addr: netip.MustParseAddr("10.0.0.1"), Kind: "opened", NotAfter: 1795255933e9}, {Addr: netip.MustParseAddr("10.0.0.1"), Kind: "net-dark", NotAfter: 1795255933e9},
			{Addr: netip.MustParseAddr("10.0.0.1"), Kind: "flapping", NotAfter: 1795355933e9},
		}),
		Violations: each([]report.Violation{{Addr: netip.MustParseAddr("10.0.0.1"), Rule: "never", Severity: "critical"}}),
	})
	for _, want := range []string{
		"<b>3</b><span>open endpoints", "<b>2</b><span>hosts with open ports", "<b>1</b><span>was open, now unknown", "<b>3</b><span>endpoints not open", "<b>3</b><span>changes", "<b>1</b><span>violation of",
		`<th scope="row">80</th><td class="n">2</td>`, `<th scope="row">http</th><td class="n">3</td>`, `<th scope="row">never</th>`, `<th scope="row">critical</th>`,
		`<th scope="row">2026-11-21</th><td class="n">1</td><td class="n">1</td><td class="n">0</td>`, `<th scope="row">2026-11-22</th><td class="n">0</td><td class="n">0</td><td class="n">1</td>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("not there: %s", want)
		}
	}
}

// What ends a report too early is told, and so is what no payload can have.
func TestWriteFails(t *testing.T) {
	broken := errors.New("broken")
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	one := func(all ...report.Endpoint) iter.Seq2[report.Endpoint, error] { return each(all) }
	for name, c := range map[string]struct {
		in   report.Input
		want error
	}{
		"falling addresses": {report.Input{Endpoints: one(report.Endpoint{Addr: b}, report.Endpoint{Addr: a})}, report.ErrOrder},
		"falling ports":     {report.Input{Endpoints: one(report.Endpoint{Addr: a, Port: 2}, report.Endpoint{Addr: a, Port: 1})}, report.ErrOrder},
		"twice":             {report.Input{Endpoints: one(report.Endpoint{Addr: a}, report.Endpoint{Addr: a})}, report.ErrOrder},
		"no address":        {report.Input{Endpoints: one(report.Endpoint{})}, nil},
		"a zone":            {report.Input{Endpoints: one(report.Endpoint{Addr: netip.MustParseAddr("fe80::1%eth0")})}, nil},
		"mapped":            {report.Input{Endpoints: one(report.Endpoint{Addr: netip.MustParseAddr("::ffff:10.0.0.1")})}, nil},
		"state":             {report.Input{Endpoints: one(report.Endpoint{Addr: a, State: 9})}, nil},
		"endpoints":         {report.Input{Endpoints: func(yield func(report.Endpoint, error) bool) { yield(report.Endpoint{}, broken) }}, broken},
		"changes":           {report.Input{Changes: func(yield func(report.Change, error) bool) { yield(report.Change{}, broken) }}, broken},
		"violations":        {report.Input{Violations: func(yield func(report.Violation, error) bool) { yield(report.Violation{}, broken) }}, broken},
	} {
		if err := report.Write(&bytes.Buffer{}, c.in); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	page := written(t, small(nil))
	for _, room := range []int{0, 1000, len(page) / 2, len(page) - 1} {
		if err := report.Write(&full{room}, small(nil)); !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	if page != written(t, small(nil)) {
		t.Error("the same input gives another page")
	}
	if empty := written(t, report.Input{}); complaint(nodes(t, empty)) != nil || !strings.Contains(empty, "Nothing can be said of changes") {
		t.Error("a report of nothing")
	}
}

var errFull = errors.New("full")

type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// Texts have 4.5:1 against what they stand on, and marks 3:1 (WCAG 2.2, 1.4.3 and 1.4.11), in light and dark.
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("page/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(css), "@media screen and (prefers-color-scheme: dark)")
	dark, _, _ = strings.Cut(dark, "\n}\n")
	light, _, _ = strings.Cut(light, "\n}\n")
	for name, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		check := func(least float64, front, back string) {
			a, b := colours[front], colours[back]
			if r := (max(a, b) + 0.05) / (min(a, b) + 0.05); r < least || a == 0 && b == 0 {
				t.Errorf("%s: --%s on --%s has %.2f:1", name, front, back, r)
			}
		}
		for _, pair := range []string{"ink page", "quiet page", "link page", "ink ground", "quiet ground", "ink warn-ground", "warn warn-ground", "quiet asked", "page open"} {
			front, back, _ := strings.Cut(pair, " ")
			check(4.5, front, back)
		}
		for _, mark := range strings.Fields("open closed unknown bad") {
			check(3, mark, "page")
			check(2.5, mark, "asked")
		}
	}
}

// luminance is WCAG's relative luminance of RRGGBB.
func luminance(t *testing.T, hex string) (sum float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// A /8 with a million endpoints, wherever they are, with a month of changes, is within 4 MB; a part of it within its part.
func TestSize(t *testing.T) {
	need.Long(t)
	part := need.Sample(t, 32, 8, 1)
	in := estate.Input(estate.Config{
		Prefix: netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 8+bits.TrailingZeros(uint(part))), Endpoints: 1_000_000 / part, Scans: 30, Changes: 500 / part,
	})
	page := written(t, in)
	most := 4_000_000
	if part > 1 { // the page itself, and what compresses less well in small
		most = most/part + 85_000
	}
	if len(page) > most {
		t.Errorf("%d bytes of a /8's part 1/%d", len(page), part)
	}
	t.Logf("%d bytes of a /8's part 1/%d", len(page), part)
}

func million() report.Input {
	return estate.Input(estate.Config{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Endpoints: 1_000_000, Scans: 30, Changes: 500})
}

func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		in := million()
		b.StartTimer()
		page := written(b, in)
		b.ReportMetric(float64(len(page)), "bytes/page")
	}
}

// payload is the base64 of a page.
func payload(t *testing.T, page string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<template id="payload">`)
	text, _, end := strings.Cut(rest, "</template>")
	if !ok || !end {
		t.Fatal("no payload")
	}
	return text
}

func quoted(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
