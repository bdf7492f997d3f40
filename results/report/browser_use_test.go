package report_test

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"synoptic/bench/lab/browser"
	"synoptic/results/report"
)

// Three hosts in two networks that lie far apart have two maps, in light and in dark; nothing is said of changes and policy.
func fewInBrowser(t *testing.T, b *browser.Browser) {
	var all []report.Endpoint
	for _, text := range []string{"10.3.2.1", "192.168.1.5", "192.168.1.200"} {
		all = append(all, report.Endpoint{Addr: netip.MustParseAddr(text), Port: 443, Service: "https"})
	}
	in := report.Input{Endpoints: iter.Seq2[report.Endpoint, error](func(yield func(report.Endpoint, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	})}
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
	said := eval[string](t, b, `new Promise((tell) => setTimeout(() => tell(document.querySelector("main").firstElementChild.textContent + document.getElementById("tables").hidden), 1000))`)
	if !strings.HasPrefix(said, "The tables could not be shown") || !strings.HasSuffix(said, "true") {
		t.Errorf("it says %q", said)
	}
}
