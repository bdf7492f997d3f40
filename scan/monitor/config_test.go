package monitor

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

const whole = `
version: 1
budget_pps: 4k
max_age: 1d
open_max_age: 1h
exploration: 15%
confirm: [2s, 1m]
predicted: 2M
stop_file: /run/synoptic/stop
time_zone: UTC
windows:
  - {not: 08:00-18:00, days: mon-fri}
  - not: 23:30-01:00
    days: [sat, sun]
networks:
  - to: 10.20.0.0/16
    max_pps: 100
    windows: [{not: "00:00-24:00", days: wed}]
  - {to: 2001:db8::/32, max_pps: 0.5}
expect: {open: 2%, predicted: 0.2%, other: 0.002%}
`

func TestParse(t *testing.T) {
	c, err := Parse("monitor.yaml", []byte(whole), time.Local)
	if err != nil {
		t.Fatal(err)
	}
	weekdays := [7]bool{false, true, true, true, true, true, false}
	want := Config{
		Budget: 4000, MaxAge: 24 * time.Hour, OpenMaxAge: time.Hour, Exploration: 0.15, Confirm: []time.Duration{2 * time.Second, time.Minute},
		Predicted: 2_000_000, StopFile: "/run/synoptic/stop", Weight: 2,
		Windows: Windows{[]window{{480, 1080, weekdays}, {1410, 60, [7]bool{true, false, false, false, false, false, true}}}, time.UTC},
		Networks: []Network{
			{netip.MustParsePrefix("10.20.0.0/16"), 100, Windows{[]window{{0, 1440, [7]bool{3: true}}}, time.UTC}},
			{Prefix: netip.MustParsePrefix("2001:db8::/32"), MaxRate: 0.5},
		},
		Expect: Expect{0.02 * perDay, 0.002 * perDay, c.Expect.Other},
	}
	if !reflect.DeepEqual(c, want) || math.Abs(c.Expect.Other/(2e-5*perDay)-1) > 1e-12 {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	least, err := Parse("", []byte("{version: 1, budget_pps: 10, max_age: 24h}"), time.UTC)
	if d := Default(); err != nil || least.Exploration != d.Exploration || least.openAge() != 24*time.Hour || len(least.Confirm) != 3 {
		t.Errorf("%+v, %v", least, err)
	}
}

// Each mistake has one clear error, with the line and what to write.
func TestParseRefuses(t *testing.T) {
	const head = "version: 1\nbudget_pps: 10\nmax_age: 24h\n"
	for text, want := range map[string][2]string{
		"":                                     {"m.yaml: the configuration is empty", "budget_pps: 3889"},
		"version: 1\n\t- x":                    {"m.yaml:2: not YAML", "quotes"},
		"[1, 2]":                               {"m.yaml:1: keys and values are wanted", "budget_pps"},
		head + "---\nversion: 1":               {"m.yaml:", "one configuration"},
		"budget_pps: 10":                       {"m.yaml:1: the configuration does not say its version", "version: 1"},
		"version: 2":                           {`m.yaml:1: version: "2"`, "version: 1"},
		"version: 1\nmax_age: 24h":             {"m.yaml: budget_pps: there is no budget", "3889"},
		"version: 1\nbudget_pps: 1":            {"m.yaml:1: the configuration does not say how old", "max_age: 24h"},
		head + "budget_pps: 20":                {"m.yaml:4: budget_pps is already in line 2", "keep one"},
		head + "budget: 20":                    {`m.yaml:4: unknown key "budget"`, "budget_pps, confirm"},
		head + "open_max_age: 2d":              {"m.yaml:4: open_max_age: 48h0m0s is more than max_age, 24h0m0s", "max_age at most"},
		head + "open_max_age: soon":            {`m.yaml:4: open_max_age: "soon" is no time`, "24h or 7d"},
		head + "open_max_age: -1h":             {`m.yaml:4: open_max_age: "-1h" is no time`, "above zero"},
		head + "exploration: 110%":             {`m.yaml:4: exploration: "110%" is no share`, "10%"},
		head + "exploration: nan":              {`m.yaml:4: exploration: "nan" is no share`, "10%"},
		head + "confirm: [60s, 2s]":            {"m.yaml:4: confirm: 2s does not lie behind 1m0s", "rising"},
		head + "confirm: 2s":                   {"m.yaml:4: confirm: a list is wanted", "list"},
		head + "predicted: 5.5":                {`m.yaml:4: predicted: "5.5"`, "5M"},
		head + "stop_file:":                    {"m.yaml:4: stop_file: a value is wanted", "leave the line out"},
		head + "stop_file: *x":                 {"not YAML: unknown anchor", "quotes"},
		head + "stop_file: &x y":               {"m.yaml:4: stop_file: anchors", "write the value out"},
		head + "time_zone: Mars/X":             {`m.yaml:4: time_zone: "Mars/X" is not known here`, "Europe/Berlin"},
		head + "windows: [{not: 8-18}]":        {`m.yaml:4: windows: "8-18" are no times`, "08:00-18:00"},
		head + "windows: [{not: 08:00-08:00}]": {`m.yaml:4: windows: "08:00-08:00" ends when it begins`, "00:00-24:00"},
		head + "windows: [{not: 08:00-25:00}]": {`m.yaml:4: windows: "08:00-25:00" are no times`, "24:00"},
		head + "windows: [{days: mon}]":        {"m.yaml:4: windows: an entry does not say when", "not:"},
		head + "windows:\n  - not: 08:00-18:00\n    days: funday":                                                       {`m.yaml:6: windows: "funday" is no day`, "mon-fri"},
		head + "windows: [{not: 00:00-24:00}]":                                                                          {"m.yaml:4: windows: nothing may ever be asked", "some time"},
		head + "windows: [{not: 00:00-24:00, days: mon-fri}, {not: 23:00-22:00}, {not: 22:00-23:00, days: [sat, sun]}]": {"m.yaml:4: windows: nothing may ever be asked", "some time"},
		head + "windows: [{not: 08:00-24:00}]\nnetworks: [{to: 10.0.0.0/8, windows: [{not: 00:00-08:00}]}]":             {"m.yaml:5: networks: 10.0.0.0/8 may never be asked", "some time"},
		head + "networks: [{max_pps: 5}]":                                                                               {"m.yaml:4: networks: an entry does not say", "to:"},
		head + "networks: [{to: 10.0.0.1/8}]":                                                                           {`m.yaml:4: networks: "10.0.0.1/8" is no network`, "write 10.0.0.0/8"},
		head + "networks: [{to: 10.0.0.0/8, max_pps: 0}]":                                                               {"m.yaml:4: networks: rate \"0\"", "above zero"},
		head + "networks:\n- to: 10.0.0.0/8\n- to: 10.0.0.0/8":                                                          {"m.yaml:6: networks: 10.0.0.0/8 is there twice", "keep one"},
		head + "networks: [{to: 10.0.0.0/8, rate: 1}]":                                                                  {`m.yaml:4: networks: unknown key "rate"`, "max_pps, to, windows"},
		head + "expect: {open: 0%}":                                                                                     {"m.yaml:4: expect: a rate of changes must be above zero", "1%"},
	} {
		_, err := Parse("m.yaml", []byte(text), time.UTC)
		bad, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(err.Error(), want[0]) || !strings.Contains(bad.Hint(), want[1]) {
			hint := ""
			if ok {
				hint = bad.Hint()
			}
			t.Errorf("%q: %v (hint: %s), want %q, %q", text, err, hint, want[0], want[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("m", data, time.UTC)
		if _, ok := errors.AsType[*Error](err); err != nil && !ok {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil && c.Check() != nil {
			t.Fatal("what was read is refused")
		}
	})
}
