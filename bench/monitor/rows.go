package main

import (
	"fmt"
	"math"
	"time"

	"synoptic/bench/lab/drift"
	"synoptic/scan/monitor"
)

// row is a way to watch the network.
type row struct {
	budget  float64 // probes per second, unscaled
	name    string
	change  func(c *drift.Config)
	restart bool          // in the middle
	free    bool          // of targets: it only shows
	detect  time.Duration // the mean time to detect, at most
	openAge time.Duration // the ages, at most; 0: none is promised
	age     time.Duration
}

const perDay = 1.0 / 86400

// window is 08:00 to 18:00, every day.
const window = "{version: 1, budget_pps: 1, max_age: 24h, time_zone: UTC, windows: [{not: 08:00-18:00}]}"

func rows() (all []row) {
	none := func(c *drift.Config) { c.Monitor.MaxAge, c.Monitor.OpenMaxAge, c.Monitor.Exploration = 0, 0, 0 }
	daily := func(c *drift.Config) { c.Monitor.OpenMaxAge = 0 }
	uniform := func(c *drift.Config) {
		none(c)
		c.Monitor.Expect, c.Monitor.Weight = monitor.Expect{Open: perDay, Predicted: perDay, Other: perDay}, math.Inf(1)
	}
	for _, budget := range []float64{1944, 2917, 3889} {
		all = append(all, row{budget: budget, name: "uniform", change: uniform, free: true}, row{budget: budget, name: "√λ", change: none, free: true})
		if budget > 1944 {
			all = append(all, row{budget: budget, name: "√λ, each at least daily", change: daily, openAge: 24 * time.Hour, age: 24 * time.Hour, detect: time.Duration(1.2 * 3889 / budget * float64(time.Hour))})
		}
	}
	of := func(name string, change func(c *drift.Config)) row {
		return row{budget: 3889, name: name, change: change, openAge: time.Hour, age: 24 * time.Hour, detect: 72 * time.Minute}
	}
	wrong := func(c *drift.Config) {
		c.Monitor.Expect = monitor.Expect{Open: 0.0001 * perDay, Predicted: 0.001 * perDay, Other: 0.001 * perDay}
	}
	fixed := func(c *drift.Config) { wrong(c); none(c); c.Monitor.Weight = math.Inf(1) }
	all = append(all,
		of("√λ, daily, open hourly", nil),
		row{budget: 3889, name: "√λ that is wrong, and nothing learnt", change: fixed, free: true},
		of("√λ that is wrong at first, and learnt", wrong),
	)
	loss := of("2 % of the answers lost", func(c *drift.Config) { c.Loss = 0.02 })
	blind := of("an hour without evidence", func(c *drift.Config) { c.Blind = [2]time.Duration{50 * time.Hour, 51 * time.Hour} })
	blind.openAge, blind.age, blind.detect = 2*time.Hour+10*time.Minute, 25*time.Hour, 80*time.Minute
	again := of("a restart in mid-week, 30 min down", func(c *drift.Config) { c.Down = 30 * time.Minute })
	again.restart = true
	again.openAge, again.age = 90*time.Minute, 24*time.Hour+30*time.Minute
	shut := of("nothing from 08:00 to 18:00", func(c *drift.Config) {
		w, err := monitor.Parse("", []byte(window), time.UTC)
		if err != nil {
			panic(err) // it is ours
		}
		c.Monitor.Windows = w.Windows
	})
	shut.openAge, shut.age, shut.detect = 11*time.Hour+10*time.Minute, 24*time.Hour, 5*time.Hour
	return append(all, loss, blind, again, shut)
}

// config is the row's run.
func (r *row) config(scale uint64) drift.Config {
	m := monitor.Default()
	m.MaxAge, m.OpenMaxAge, m.Budget = 24*time.Hour, time.Hour, r.budget/float64(scale)
	c := drift.Config{Monitor: m, Scale: scale, Truth: drift.Rates(m.Expect)}
	if r.change != nil {
		r.change(&c)
	}
	return c
}

// fault is what a row has not kept, "" where it has kept all.
func (r *row) fault(s *drift.Result) string {
	switch {
	case s.False > 0:
		return "false changes"
	case s.Low < 0.99 || s.High > 1.01:
		return "the rate is off"
	case r.free:
		return ""
	case s.Seen > r.detect:
		return fmt.Sprintf("detection beyond %v", r.detect)
	case s.OpenAge > r.openAge || s.Age > r.age:
		return fmt.Sprintf("older than %v and %v", r.openAge, r.age)
	}
	return ""
}
