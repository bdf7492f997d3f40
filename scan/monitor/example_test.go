package monitor_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"synoptic/scan/monitor"
)

// What an operator sees before the start: docs/monitor.md has the same.
func ExamplePlan() {
	config, err := monitor.Parse("monitor.yaml", []byte(`version: 1
budget_pps: 3889
max_age: 24h
open_max_age: 1h
time_zone: Europe/Berlin
networks:
  - to: 10.20.0.0/16
    max_pps: 10
    windows: [{not: 08:00-18:00, days: mon-fri}]
`), time.UTC)
	if err != nil {
		fmt.Println(err)
		return
	}
	branch := netip.MustParsePrefix("10.20.0.0/16")
	sizes := []monitor.Size{
		{Network: branch, Positions: 655_360, Open: 4_000},
		{Positions: 167_116_800, Open: 1_696_000, Predicted: 5_000_000},
	}
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	summary := monitor.Plan(&config, sizes, now.UnixNano())
	fmt.Fprint(os.Stdout, summary.String())
	// Output:
	// budget     3889 pps, of which the targets take 2449
	// network    10.20.0.0/16: 10 pps at most, of which the targets take 15: 5 pps too few
	// window     open_max_age of 1h0m0s cannot be kept while a window lasts (10.20.0.0/16)
	// open       every 35m52s to 1h27m14s, by network
	// predicted  every 1h53m27s
	// cycle      every 18h54m26s to 20h21m19s, by network
	// detection  1h3m41s on average, where changes are as expected
}

// A mistake has its line and says what to write.
func ExampleParse() {
	_, err := monitor.Parse("monitor.yaml", []byte("version: 1\nbudget_pps: 4k\nmax_age: 24h\nwindow: [{not: 08:00-18:00}]\n"), time.UTC)
	fmt.Println(err)
	if bad, ok := errors.AsType[*monitor.Error](err); ok {
		fmt.Println("hint:", bad.Hint())
	}
	// Output:
	// monitor.yaml:4: unknown key "window"
	// hint: the keys here are budget_pps, confirm, expect, exploration, max_age, networks, open_max_age, predicted, stop_file, time_zone, version, windows
}
