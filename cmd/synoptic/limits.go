package main

import (
	"fmt"
	"strings"

	"synoptic/ratelimit"
	"synoptic/scan/plan"
)

// pace understands the flags that say how fast the scan goes.
func (f *scanFlags) pace(c *plan.Config) (err error) {
	c.Auto = strings.EqualFold(f.rate, plan.RateAuto) || f.rate == "" && (f.maxRate != "" || f.minRate != "") // as other scanners have these
	rates := []struct {
		flag, text string
		to         *float64
	}{{"--rate", f.rate, &c.Rate}, {"--max-rate", f.maxRate, &c.MaxRate}, {"--min-rate", f.minRate, &c.MinRate}, {"--rate-per-host", f.ratePerHost, &c.RatePerHost}}
	for _, r := range rates {
		if r.text == "" || c.Auto && r.to == &c.Rate {
			continue
		}
		if *r.to, err = ratelimit.ParseRate(r.text); err != nil {
			return fmt.Errorf("%s: %w", r.flag, err)
		}
	}
	if f.bandwidth != "" {
		if c.Bandwidth, err = ratelimit.ParseBandwidth(f.bandwidth); err != nil {
			return fmt.Errorf("--bandwidth: %w", err)
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
