package report_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/browser"
	"synoptic/results/report"
)

// Three hosts in two networks that lie far apart have two maps, in light and in dark; nothing is said of changes and policy.
func fewInBrowser(t *testing.T, b *browser.Browser) {
	var all []report.Endpoint
	for _, text := range []string{"10.3.2.1", "192.168.1.5", "192.168.1.200"} {
		all = append(all, report.Endpoint{Addr: netip.MustParseAddr(text), Port: 443, Service: "https"})
	}
	in := report.Input{Endpoints: each(all)}
	for _, dark := range []bool{false, true} {
		if err := b.Look(1280, 900, dark); err != nil {
			t.Fatal(err)
		}
		opened(t, b, written(t, in))
		got := eval[[]string](t, b, `Array.from(document.querySelectorAll("#square option, #layer option, #legend li"), (e) => e.textContent)`)
		if want := []string{"10.3.2.0/24", "192.168.1.0/24", "State", "Age", "Service", "open: 1"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if err := quiet(b.Seen()); err != nil {
			t.Error(err)
		}
		// The host is the cell of .1: the corner of the map has the ground's colour, and the cell below it has another.
		same := eval[bool](t, b, `(() => {
			const canvas = document.getElementById("map"), g = canvas.getContext("2d"), cell = canvas.width / 16;
			const at = (x, y) => String(g.getImageData((x + 0.8) * cell, (y + 0.8) * cell, 1, 1).data);
			const map = [0, 1, 2, 3].map((i) => at(i >> 1, i & 1)), empty = at(8, 8);
			return map.filter((c) => c !== empty).length === 1;
		})()`)
		if !same {
			t.Errorf("dark %v: there is not one host in the corner of the map", dark)
		}
	}
	said := eval[[]string](t, b, `["Changes", "Violations"].map((name) => {
		Array.from(document.querySelectorAll("#tabs button")).find((x) => x.textContent === name).click();
		return document.getElementById("panel").textContent;
	})`)
	if !strings.HasPrefix(said[0], "Nothing can be said") || said[1] != "No policy was checked." {
		t.Errorf("%q", said)
	}
	if err := b.Look(1280, 900, false); err != nil {
		t.Fatal(err)
	}
}

// Everything can be had by keys, and has a name.
func keyboardInBrowser(t *testing.T, b *browser.Browser) {
	opened(t, b, written(t, small(nil)))
	press := func(key string, code int) {
		t.Helper()
		for _, kind := range []string{"keyDown", "keyUp"} {
			if err := b.Call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "windowsVirtualKeyCode": code}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Tab goes through all controls. The first key makes the focus a visible one.
	for range 12 {
		if press("Tab", 9); eval[string](t, b, "document.activeElement.id") == "map" {
			break
		}
	}
	under := func() string { return eval[string](t, b, `document.getElementById("under").textContent`) }
	before := under()
	press("+", 187)
	press("ArrowRight", 39)
	if after := under(); before == "" || after == before || eval[string](t, b, "document.activeElement.id") != "map" {
		t.Errorf("under the cross is %q, then %q", before, after)
	}
	press("Enter", 13)
	if found := eval[string](t, b, `document.getElementById("search").value`); !strings.HasPrefix(under(), found+":") || found == "" {
		t.Errorf("Enter searches for %q, under the cross is %q", found, under())
	}
	if v := eval[string](t, b, `document.querySelector("[role=tab]").focus(), document.activeElement.textContent`); v != "Hosts" {
		t.Error(v)
	}
	press("ArrowRight", 39)
	if v := eval[string](t, b, `document.activeElement.textContent + document.activeElement.getAttribute("aria-selected")`); v != "Endpointstrue" {
		t.Error(v)
	}
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value any }
		}
	}
	if err := b.Call("Accessibility.getFullAXTree", nil, &tree); err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, n := range tree.Nodes {
		switch role, _ := n.Role.Value.(string); role {
		case "button", "combobox", "searchbox", "slider", "tab", "img", "region", "tabpanel", "table":
			if name, _ := n.Name.Value.(string); name == "" && !n.Ignored && role != "table" {
				t.Errorf("a %s without a name", role)
			}
			named++
		}
	}
	if named < 20 {
		t.Errorf("%d controls", named)
	}
}

// A page whose payload was damaged on its way says so, and keeps its summary.
func brokenInBrowser(t *testing.T, b *browser.Browser) {
	page := written(t, small(nil))
	text := payload(t, page)
	load(t, b, strings.Replace(page, text, text[:len(text)/2/4*4], 1))
	if err := b.Eval(browser.Ready, nil); err == nil {
		t.Error("it says that it is ready")
	}
	said := eval[string](t, b, `document.querySelector("main").firstElementChild.textContent + document.getElementById("tables").hidden`)
	if !strings.HasPrefix(said, "The tables could not be shown") || !strings.HasSuffix(said, "true") {
		t.Errorf("it says %q", said)
	}
}

// On paper there are no controls, and the map has the colours of the light page.
func printedInBrowser(t *testing.T, b *browser.Browser) {
	if err := b.Look(1280, 900, true); err != nil {
		t.Fatal(err)
	}
	opened(t, b, written(t, small(nil)))
	colour := `(dispatchEvent(new Event("KIND")), String(document.getElementById("map").getContext("2d").getImageData(30, 300, 1, 1).data))`
	dark, light := eval[string](t, b, strings.ReplaceAll(colour, "KIND", "afterprint")), eval[string](t, b, strings.ReplaceAll(colour, "KIND", "beforeprint"))
	if dark == light {
		t.Errorf("the map has %s on screen and on paper", dark)
	}
	if err := b.Call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil); err != nil {
		t.Fatal(err)
	}
	shown := eval[[]bool](t, b, `["search", "tabs", "closer", "map", "panel", "legend"].map((id) => document.getElementById(id).checkVisibility())`)
	if want := []bool{false, false, false, true, true, true}; !slices.Equal(shown, want) {
		t.Errorf("%v are shown on paper, want %v", shown, want)
	}
	if err := b.Call("Emulation.setEmulatedMedia", map[string]any{"media": ""}, nil); err != nil {
		t.Fatal(err)
	}
}

// The legend counts what each layer shows, of the day and of what is searched; of several states in a place the first is seen.
func layersInBrowser(t *testing.T, b *browser.Browser) {
	in := small(nil)
	states, opened4, violated := map[string]int{}, 0, 0
	for e := range in.Endpoints {
		if e.Port == 443 {
			states[e.State.String()]++
		}
	}
	newest := map[string]int{}
	last := int64(0)
	for c := range in.Changes {
		last = max(last, c.NotAfter)
		if c.NotAfter == last {
			newest[c.Kind]++
		}
		opened4++
	}
	for range in.Violations {
		violated++
	}
	opened(t, b, written(t, in))
	legend := func(layer string, day int) string {
		return strings.Join(eval[[]string](t, b, `(() => {
			const layer = document.getElementById("layer"), day = document.getElementById("day");
			layer.selectedIndex = Array.from(layer.options).findIndex((o) => o.textContent === "`+layer+`");
			layer.dispatchEvent(new Event("change"));
			day.value = `+fmt.Sprint(day)+`;
			day.dispatchEvent(new Event("input"));
			return Array.from(document.querySelectorAll("#legend li"), (e) => e.textContent).filter((s) => s.includes(":"));
		})()`), "; ")
	}
	if got, want := legend("Changes", 4), fmt.Sprintf("opened: %d; no longer open: %d", newest["opened"], newest["closed"]); got != want || newest["closed"] == 0 || opened4 == newest["opened"]+newest["closed"] {
		t.Errorf("changes of the newest day: %q, want %q", got, want)
	}
	if name := eval[string](t, b, `document.getElementById("day-name").textContent`); name != time.Unix(0, last).UTC().Format(time.DateOnly) {
		t.Errorf("the day is called %q", name)
	}
	eval[string](t, b, searched(t, "443"))
	if got, want := legend("State", 0), fmt.Sprintf("open: %d; unknown: %d", states["open"], states["unknown"]); got != want || states["unknown"] == 0 {
		t.Errorf("states of 443: %q, want %q", got, want)
	}
	legend("Violations", 0)
	eval[string](t, b, searched(t, ""))
	if got, want := eval[string](t, b, `document.getElementById("legend").firstElementChild?.textContent ?? ""`), fmt.Sprintf("violation: %d", violated); violated == 0 || got != want {
		t.Errorf("violations: %q, want %q", got, want)
	}

	at := func(text string, state report.State) report.Endpoint {
		return report.Endpoint{Addr: netip.MustParseAddr(text), Port: 80, State: state}
	}
	opened(t, b, written(t, report.Input{
		Covered:   []report.Covered{{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Asked: 1, Of: 1}},
		Endpoints: each([]report.Endpoint{at("10.0.0.0", report.Closed), at("10.0.0.1", report.Open), at("10.0.0.2", report.Unknown)}),
	}))
	same := eval[bool](t, b, `(() => {
		const canvas = document.getElementById("map"), [r, g, b] = canvas.getContext("2d").getImageData(1, 1, 1, 1).data;
		return "#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("") === getComputedStyle(canvas).getPropertyValue("--open").trim();
	})()`)
	if !same {
		t.Error("an open port is not seen beside a closed one")
	}
}

// Columns sort both ways, numbers by their value, and pages turn.
func sortedInBrowser(t *testing.T, b *browser.Browser) {
	in, all := mixed()
	opened(t, b, written(t, in))
	column := func(click string) []string {
		return eval[[]string](t, b, `(() => {
			const press = (where, text) => Array.from(document.querySelectorAll(where)).find((x) => x.textContent === text).click();
			press("#tabs button", "Endpoints");
			`+click+`
			return Array.from(document.querySelectorAll("#panel tbody tr"), (tr) => tr.cells[1].textContent + " " + tr.cells[0].textContent);
		})()`)
	}
	slices.SortStableFunc(all, func(a, b report.Endpoint) int { return cmp.Compare(b.Port, a.Port) })
	words := func(all []report.Endpoint) (rows []string) {
		for _, e := range all {
			rows = append(rows, fmt.Sprint(e.Port, " ", e.Addr))
		}
		return rows
	}
	if got, want := column(`press("#panel thead button", "Port");`), words(all[:50]); !slices.Equal(got, want) {
		t.Errorf("by port, falling: %q, want %q", got, want)
	}
	if got, want := column(`press("#panel thead button", "Port"); press(".pager button", "Next");`), words(all[50:100]); !slices.Equal(got, want) {
		t.Errorf("the page after: %q, want %q", got, want)
	}
	slices.SortStableFunc(all, func(a, b report.Endpoint) int { return cmp.Or(cmp.Compare(a.Port, b.Port), a.Addr.Compare(b.Addr)) })
	last := len(all) / 50 * 50
	if got, want := column(`press("#panel thead button", "Port"); press("#panel thead button", "Port"); press(".pager button", "Last");`), words(all[last:]); !slices.Equal(got, want) {
		t.Errorf("by port, the last page: %q, want %q", got, want)
	}
}
