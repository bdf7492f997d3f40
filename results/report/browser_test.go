package report_test

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/browser"
	"synoptic/bench/lab/need"
	"synoptic/results/report"
)

// What a real browser makes of the pages.
func TestBrowser(t *testing.T) {
	program := need.Program(t, browser.Name)
	b, err := browser.Start(program)
	if err != nil {
		need.Peer(t, err)
	}
	defer b.Close()
	if err := b.Look(1280, 900, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, *browser.Browser)
	}{
		{"planted", plantedInBrowser}, {"hostile", hostileInBrowser}, {"decoded", decodedInBrowser}, {"search", searchInBrowser}, {"curve", curveInBrowser},
		{"few", fewInBrowser}, {"keyboard", keyboardInBrowser}, {"printed", printedInBrowser}, {"layers", layersInBrowser}, {"sorted", sortedInBrowser}, {"broken", brokenInBrowser},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, b) })
	}
}

// opened has the browser open a page, and wait until it is ready.
func opened(t *testing.T, b *browser.Browser, page string) {
	t.Helper()
	load(t, b, page)
	if err := b.Eval(browser.Ready, nil); err != nil {
		t.Fatal(err, b.Seen())
	}
}

func load(t *testing.T, b *browser.Browser, page string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.Open(ctx, "file://"+file); err != nil {
		t.Fatal(err)
	}
}

func eval[T any](t *testing.T, b *browser.Browser, expression string) (v T) {
	t.Helper()
	if err := b.Eval(expression, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// quiet says what a page has done that no report does.
func quiet(p browser.Page) error {
	switch {
	case len(p.Requests) != 1:
		return fmt.Errorf("requests: %q", p.Requests)
	case slices.ContainsFunc(p.Network, func(r string) bool { return strings.Contains(r, "evil") }):
		return fmt.Errorf("on the network: %q", p.Network)
	case len(p.Console) > 0:
		return fmt.Errorf("console: %q", p.Console)
	case len(p.Dialogs) > 0:
		return fmt.Errorf("dialogs: %q", p.Dialogs)
	}
	return nil
}

// The test sees what runs: without policy and escaping, each kind of string is noticed.
func plantedInBrowser(t *testing.T, b *browser.Browser) {
	for _, planted := range []string{"<script>console.error('hit')</script>", "<img src=http://evil.example/x.png>", "<img src=x onerror=alert(1)>"} {
		load(t, b, "<!DOCTYPE html><title>x</title>"+planted)
		if err := b.Eval("new Promise((r) => setTimeout(r, 150))", nil); err != nil {
			t.Fatal(err)
		}
		if quiet(b.Seen()) == nil {
			t.Errorf("%s was not noticed", planted)
		}
	}
}

// None of 200 script strings runs, on no layer and in no table, and nothing is requested.
func hostileInBrowser(t *testing.T, b *browser.Browser) {
	texts := scripts(t)
	opened(t, b, written(t, small(texts)))
	title := eval[string](t, b, "document.title")
	shown := eval[map[string]int](t, b, `(async () => {
		const texts = new Set(`+quoted(t, texts)+`), seen = new Set(), settle = () => new Promise((r) => setTimeout(r, 20));
		const look = () => document.querySelectorAll("td, #legend li, #under").forEach((e) => { if (texts.has(e.textContent)) seen.add(e.textContent); });
		const layer = document.getElementById("layer");
		for (let i = 0; i < layer.options.length; i++) { layer.value = i; layer.dispatchEvent(new Event("change")); await settle(); look(); }
		const tabs = document.querySelectorAll("#tabs button");
		for (const tab of tabs) {
			tab.click();
			for (let n = 0; n < 40; n++) {
				look();
				const next = Array.from(document.querySelectorAll(".pager button")).find((x) => x.textContent === "Next" && !x.disabled);
				if (!next) break;
				next.click();
			}
			for (let i = 0; i < document.querySelectorAll("thead button").length; i++) document.querySelectorAll("#panel thead button")[i]?.click();
			look();
			await settle();
		}
		const search = document.getElementById("search");
		search.value = texts.values().next().value;
		search.dispatchEvent(new Event("input"));
		await new Promise((r) => setTimeout(r, 200));
		return { texts: seen.size, hit: window.hit ?? 0, tabs: tabs.length, layers: layer.options.length,
			strange: document.querySelectorAll("img, iframe, link, object, embed, base, form, video, math, [onerror], [onload], [onfocus]").length };
	})()`)
	if shown["hit"] != 0 || shown["strange"] != 0 || shown["tabs"] != 6 || shown["layers"] != 5 {
		t.Errorf("%v", shown)
	}
	// Those with more than 200 bytes are cut, and so not found by their whole text.
	long := 0
	for _, s := range texts {
		if len(s) > 200 {
			long++
		}
	}
	if shown["texts"] < 200-long {
		t.Errorf("%d of %d texts were shown", shown["texts"], 200-long)
	}
	if now := eval[string](t, b, "document.title"); now != title || now == "hit" {
		t.Errorf("the title has become %q", now)
	}
	if err := quiet(b.Seen()); err != nil {
		t.Error(err)
	}
}

// mixed has addresses of both families, and rows of all kinds.
func mixed() (report.Input, []report.Endpoint) {
	in := small(nil)
	var all []report.Endpoint
	for e := range in.Endpoints {
		e.Name, e.Banner, e.Notes = fmt.Sprintf("host-%d.example", len(all)/3), fmt.Sprintf("SSH-2.0-é%d", len(all)), ""
		all = append(all, e)
	}
	for i, text := range []string{"2001:db8::1", "2001:db8::1", "2001:db8:0:1::", "2001:db8:1:0:2:0:0:3", "2001:db9:0:0:1:0:0:1", "fe80::1:0:0:1"} {
		all = append(all, report.Endpoint{Addr: netip.MustParseAddr(text), Port: uint16(22 + i), State: report.State(i % 5), Service: "ssh", Vantage: "office", Since: 1795255933_000000000, Seen: 1795355933_000000000})
	}
	all[3].Vantage, all[7].Service = "dmz-scan01 ", ""
	in.Endpoints = each(all)
	return in, slices.Clone(all)
}

func minutes(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04")
}

// The script decodes what Go has packed: every row of every table.
func decodedInBrowser(t *testing.T, b *browser.Browser) {
	in, all := mixed()
	var want [3][]string
	for _, e := range all {
		after := int64(0)
		if e.After != 0 {
			after = e.After
		}
		want[0] = append(want[0], strings.Join([]string{
			e.Addr.String(), fmt.Sprint(e.Port), e.State.String(), e.Service, e.Name, minutes(e.Since), minutes(after), minutes(e.Seen),
			strings.TrimSpace(e.Vantage), e.Notes, e.Banner,
		}, "|"))
	}
	for c := range in.Changes {
		want[1] = append(want[1], strings.Join([]string{c.Addr.String(), fmt.Sprint(c.Port), c.Kind, c.Before, c.After, minutes(c.NotBefore), minutes(c.NotAfter), c.Service, c.Vantage, c.Notes}, "|"))
	}
	for v := range in.Violations {
		want[2] = append(want[2], strings.Join([]string{v.Addr.String(), fmt.Sprint(v.Port), v.Status, v.Rule, v.Severity, v.Want, v.Owner, minutes(v.First), v.Vantage, v.Notes}, "|"))
	}
	decode, err := os.ReadFile("page/decode.js")
	if err != nil {
		t.Fatal(err)
	}
	page := written(t, in)
	load(t, b, "<!DOCTYPE html><title>x</title>")
	got := eval[[3][]string](t, b, `(async () => {`+string(decode)+`
		const { tables } = await unpack(`+quoted(t, payload(t, page))+`);
		const rows = (t, f) => Array.from({ length: t.rows }, (_, i) => [t.address(t.host[i]), t.columns.port.get(i), ...f(t.columns, i)].join("|"));
		const minus = (late, by) => (by === 0 ? "" : moment(late - by));
		return [
			rows(tables.endpoints, (c, i) => [c.state.get(i), c.service.get(i), c.name.get(i), moment(c.since.get(i)), minus(c.since.get(i), c.after.get(i)), moment(c.since.get(i) + c.seen.get(i)), c.vantage.get(i), c.notes.get(i), c.banner.get(i)]),
			rows(tables.changes, (c, i) => [c.kind.get(i), c.before.get(i), c.after.get(i), minus(c.to.get(i), c.from.get(i)), moment(c.to.get(i)), c.service.get(i), c.vantage.get(i), c.notes.get(i)]),
			rows(tables.violations, (c, i) => [c.status.get(i), c.rule.get(i), c.severity.get(i), c.want.get(i), c.owner.get(i), moment(c.first.get(i)), c.vantage.get(i), c.notes.get(i)]),
		];
	})()`)
	for i, name := range []string{"endpoints", "changes", "violations"} {
		if i > 0 { // the report sorts them
			slices.Sort(want[i])
			slices.Sort(got[i])
		}
		if len(want[i]) == 0 || !slices.Equal(got[i], want[i]) {
			t.Errorf("%s: %d rows, want %d", name, len(got[i]), len(want[i]))
			for k := range min(len(got[i]), len(want[i])) {
				if got[i][k] != want[i][k] {
					t.Fatalf("row %d is\n%s\nwant\n%s", k, got[i][k], want[i][k])
				}
			}
		}
	}
	for _, damaged := range []string{page[:len(page)/2], ""} {
		text := ""
		if damaged != "" {
			text = payload(t, page)[:400]
		}
		if v := eval[string](t, b, `(async () => {`+string(decode)+` try { await unpack(`+quoted(t, text)+`); return ""; } catch (e) { return String(e); } })()`); v == "" {
			t.Error("a damaged payload is taken")
		}
	}
}

// What the search finds is what Go finds; the tables show it.
func searchInBrowser(t *testing.T, b *browser.Browser) {
	in, all := mixed()
	opened(t, b, written(t, in))
	count := func(matches func(*report.Endpoint) bool) (n int) {
		for i := range all {
			if matches(&all[i]) {
				n++
			}
		}
		return n
	}
	within := func(prefix string) func(*report.Endpoint) bool {
		p := netip.MustParsePrefix(prefix)
		return func(e *report.Endpoint) bool { return p.Contains(e.Addr) }
	}
	ports := func(low, high uint16) func(*report.Endpoint) bool {
		return func(e *report.Endpoint) bool { return low <= e.Port && e.Port <= high }
	}
	both := func(a, b func(*report.Endpoint) bool) func(*report.Endpoint) bool {
		return func(e *report.Endpoint) bool { return a(e) && b(e) }
	}
	for query, matches := range map[string]func(*report.Endpoint) bool{
		"":                         within("0.0.0.0/0"),
		"443":                      ports(443, 443),
		":443":                     ports(443, 443),
		"8000-8100":                ports(8000, 8100),
		"10.20.0.0/18":             within("10.20.0.0/18"),
		"10.20.77.3/17":            within("10.20.0.0/17"),
		"10.20.5.":                 within("10.20.5.0/24"),
		"10.":                      within("10.0.0.0/8"),
		all[0].Addr.String():       within(all[0].Addr.String() + "/32"),
		"2001:db8::/32":            within("2001:db8::/32"),
		"2001:db8::1":              within("2001:db8::1/128"),
		"10.20.128.0/17 22":        both(within("10.20.128.0/17"), ports(22, 22)),
		"SSH-2.0-É7":               func(e *report.Endpoint) bool { return strings.Contains(e.Banner, "é7") },
		"unknown 443":              both(func(e *report.Endpoint) bool { return e.State == report.Unknown }, ports(443, 443)),
		"host-12.example":          func(e *report.Endpoint) bool { return e.Name == "host-12.example" },
		"office":                   func(e *report.Endpoint) bool { return e.Vantage == "office" },
		"nothing-like-that":        func(*report.Endpoint) bool { return false },
		"10.20.0.0/18 nothing 443": func(*report.Endpoint) bool { return false },
	} {
		want := count(matches)
		if query == "" {
			want = len(all)
		}
		got := eval[string](t, b, searched(t, query)+`.then((text) => text.split(" ")[0].replace(",", ""))`)
		if got != fmt.Sprint(want) || want == 0 && !strings.Contains(query, "nothing") {
			t.Errorf("%q finds %s, want %d", query, got, want)
		}
	}
	rows := eval[[]string](t, b, searched(t, "2001:db8::/32")+`.then(() => {
		Array.from(document.querySelectorAll("#tabs button")).find((x) => x.textContent === "Endpoints").click();
		return Array.from(document.querySelectorAll("#panel tbody tr"), (tr) => Array.from(tr.cells, (c) => c.textContent).slice(0, 4).join(" "));
	})`)
	hosts := eval[int](t, b, `(Array.from(document.querySelectorAll("#tabs button")).find((x) => x.textContent === "Hosts").click(), document.querySelectorAll("#panel tbody tr").length)`)
	if hosts != 3 {
		t.Errorf("%d hosts of 3", hosts)
	}
	if want := []string{"2001:db8::1 22 open ssh", "2001:db8::1 23 closed ssh", "2001:db8:0:1:: 24 filtered ssh", "2001:db8:1:0:2::3 25 not open ssh"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if err := quiet(b.Seen()); err != nil {
		t.Error(err)
	}
}

// searched is a promise of what is said to be found for a query.
func searched(t testing.TB, query string) string {
	return `new Promise((tell) => {
		const search = document.getElementById("search"), found = document.getElementById("found");
		search.value = ` + quoted(t, query) + `;
		new MutationObserver(() => tell(found.textContent)).observe(found, { childList: true });
		search.dispatchEvent(new Event("change"));
	})`
}

// The curve visits every cell once, each beside the one before, prefixes of even length are squares, and back again.
func curveInBrowser(t *testing.T, b *browser.Browser) {
	code, err := os.ReadFile("page/map.js")
	if err != nil {
		t.Fatal(err)
	}
	load(t, b, "<!DOCTYPE html><title>x</title>")
	wrong := eval[string](t, b, `(() => {`+string(code)+`
		for (let order = 1; order <= 7; order++) {
			const seen = new Set();
			let last = null;
			for (let d = 0; d < 4 ** order; d++) {
				const [x, y] = toXY(d, order);
				if (last && Math.abs(x - last[0]) + Math.abs(y - last[1]) !== 1) return "a leap at " + d + " of order " + order;
				if (toOffset(x, y, order) !== d) return "no way back from " + d + " of order " + order;
				seen.add(x * 65536 + y);
				last = [x, y];
			}
			if (seen.size !== 4 ** order) return "cells are missing in order " + order;
			if (String(toXY(0, order)) !== "0,0") return "order " + order + " does not begin in the corner";
		}
		for (const d of [0, 1, 2 ** 31, 2 ** 32 - 1, 0xc0a80105, 0x0a141e28]) if (toOffset(...toXY(d, 16), 16) !== d) return "no way back from " + d;
		const square = squareOf({ base: 0x0a140000, bits: 16 });
		for (const [base, bits, n, side] of [[0x0a140000, 16, 1, 256], [0x0a140000, 8, 1, 256], [0x0a142000, 20, 1, 64], [0x0a142000, 19, 2, 64], [0x0a140105, 32, 1, 1], [0x0b000000, 16, 0, 0]]) {
			const p = parts(square, base, bits);
			if (p.length !== n || n && p[0].side !== side) return "the parts of " + base + "/" + bits + ": " + JSON.stringify(p);
		}
		return "";
	})()`)
	if wrong != "" {
		t.Error(wrong)
	}
}

// A million endpoints are there at once, and searched without a pause that is felt.
func BenchmarkBrowser(b *testing.B) {
	program := need.Program(b, browser.Name)
	file := filepath.Join(b.TempDir(), "report.html")
	in := million()
	if err := os.WriteFile(file, []byte(written(b, in)), 0o600); err != nil {
		b.Fatal(err)
	}
	chromium, err := browser.Start(program)
	if err != nil {
		b.Fatal(err)
	}
	defer chromium.Close()
	if err := chromium.Open(b.Context(), "file://"+file); err != nil {
		b.Fatal(err)
	}
	if err := chromium.Eval(browser.Ready, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, query := range []string{"10.20.0.0/16", "443", "ssh", ""} {
			var took float64
			if err := chromium.Eval(`(() => { const begin = performance.now(); return `+searched(b, query)+`.then(() => performance.now() - begin); })()`, &took); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(took, "ms/"+cmp.Or(query, "all")+"-search")
		}
	}
}
