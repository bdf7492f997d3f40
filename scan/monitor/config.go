package monitor

import (
	"math"
	"net/netip"
	"time"
)

// Config is what the operator wants. Parse makes one from YAML; of the zero value, Default has what is sensible.
type Config struct {
	Budget      float64         // probes per second, above zero
	MaxAge      time.Duration   // no endpoint is to be older, that is, asked longer ago; 0: no target
	OpenMaxAge  time.Duration   // likewise of those that are open or have to be; 0: MaxAge
	Exploration float64         // the share of the budget that the cycle gets at least, 0 to 1
	Confirm     []time.Duration // after which times a difference is asked again, each time up to ConfirmAttempts times; none: it is believed
	Windows     Windows         // when nothing is probed
	Networks    []Network       // with limits of their own; the longest prefix that an address is in counts
	StopFile    string          // while it exists nothing is probed: the daemon looks
	Predicted   int             // the most endpoints of tier 2
	Expect      Expect          // what is believed of changes before anything was seen
	Weight      float64         // for how many changes that belief stands in each class; +Inf: nothing is learnt
}

// Network is a prefix with limits of its own.
type Network struct {
	Prefix  netip.Prefix
	MaxRate float64 // probes per second at most; 0: no limit
	Windows Windows // when it is not probed, besides Config.Windows
}

// Expect is how often an endpoint is believed to change, in changes per second.
type Expect struct {
	Open      float64 // that an open one ends
	Predicted float64 // that a predicted one opens
	Other     float64 // that any other one opens
}

const (
	// ConfirmAttempts is how often a difference is asked about at each time of Config.Confirm, attemptGap apart.
	ConfirmAttempts = 3
	attemptGap      = time.Second

	// headroom is the part of a target that is planned with: what is not foreseen (confirmations, growth) has the rest.
	headroom = 0.98
	// mostOften bounds how often one endpoint is asked, whatever the budget is.
	mostOften = 1.0 / 30 // per second

	perDay = 1.0 / 86400 // per second

	maxNetworks  = 256
	maxPredicted = 50_000_000
)

// Default is the configuration where nothing is said of it, but for Budget and MaxAge, which have none.
func Default() Config {
	return Config{
		Exploration: 0.1,
		Confirm:     []time.Duration{2 * time.Second, time.Minute, 10 * time.Minute},
		Predicted:   5_000_000,
		Expect:      Expect{Open: 0.01 * perDay, Predicted: 0.001 * perDay, Other: 1e-5 * perDay},
		Weight:      2,
	}
}

// Check says what is wrong with a configuration. The error is an *Error.
func (c *Config) Check() error {
	rate := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	switch {
	case !rate(c.Budget):
		return refuse(0, "budget_pps", "give probes per second, such as 3889 or 4k", "budget_pps: there is no budget")
	case c.MaxAge < 0 || c.OpenMaxAge < 0:
		return refuse(0, "max_age", "give a time such as 24h", "an age below zero")
	case !(c.Exploration >= 0 && c.Exploration <= 1):
		return refuse(0, "exploration", "give a share from 0% to 100%", "exploration: %v is no share", c.Exploration)
	case c.MaxAge > 0 && c.OpenMaxAge > c.MaxAge:
		return refuse(0, "open_max_age", "make it max_age at most, or leave it out", "open_max_age: %v is more than max_age, %v", c.OpenMaxAge, c.MaxAge)
	case c.Predicted < 0 || c.Predicted > maxPredicted:
		return refuse(0, "predicted", "give a number of endpoints up to 50M", "predicted: %d is outside 0 to %d", c.Predicted, maxPredicted)
	case !rate(c.Expect.Open) || !rate(c.Expect.Predicted) || !rate(c.Expect.Other):
		return refuse(0, "expect", "give changes a day above zero, such as 1%", "expect: a rate of changes must be above zero")
	case !(c.Weight > 0):
		return refuse(0, "", "", "the weight of what is expected must be above zero")
	case len(c.Networks) > maxNetworks:
		return refuse(0, "networks", "put networks that share a limit into one prefix", "networks: %d are more than %d", len(c.Networks), maxNetworks)
	}
	if c.Windows.never() {
		return refuse(0, "windows", "leave some time of the week to it", "windows: nothing may ever be asked")
	}
	for i, last := 0, time.Duration(0); i < len(c.Confirm); i++ {
		if c.Confirm[i] <= last {
			return refuse(0, "confirm", "give rising times, such as [2s, 60s, 10m]", "confirm: %v does not lie behind %v", c.Confirm[i], last)
		}
		last = c.Confirm[i]
	}
	return c.checkNetworks()
}

func (c *Config) checkNetworks() error {
	seen := map[netip.Prefix]bool{}
	for _, n := range c.Networks {
		switch {
		case !n.Prefix.IsValid() || n.Prefix != n.Prefix.Masked():
			return refuse(0, "networks", "give a prefix such as 10.20.0.0/16", "networks: %v is no network", n.Prefix)
		case seen[n.Prefix]:
			return refuse(0, "networks", "keep one of them", "networks: %v is there twice", n.Prefix)
		case n.MaxRate < 0 || math.IsNaN(n.MaxRate):
			return refuse(0, "networks", "give probes per second above zero", "networks: %v: max_pps below zero", n.Prefix)
		case c.Windows.with(n.Windows).never():
			return refuse(0, "networks", "leave some time of the week to it, or take its addresses out of the targets", "networks: %v may never be asked", n.Prefix)
		}
		seen[n.Prefix] = true
	}
	return nil
}

// openAge is the target of tier 1.
func (c *Config) openAge() time.Duration {
	if c.OpenMaxAge > 0 {
		return c.OpenMaxAge
	}
	return c.MaxAge
}
