package main

import (
	"fmt"

	"synoptic/ratelimit"
	"synoptic/scan/plan"
)

// limits understands the flags that hold hosts and prefixes to a rate.
func (f *scanFlags) limits(c *plan.Config) (err error) {
	if f.ratePerHost != "" {
		if c.RatePerHost, err = ratelimit.ParseRate(f.ratePerHost); err != nil {
			return fmt.Errorf("--rate-per-host: %w", err)
		}
	}
	for _, s := range f.ratePerPrefix {
		l, err := ratelimit.ParsePrefixRate(s)
		if err != nil {
			return fmt.Errorf("--rate-per-prefix: %w", err)
		}
		c.RatePerPrefix = append(c.RatePerPrefix, l)
	}
	return nil
}
