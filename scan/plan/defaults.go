package plan

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"synoptic/results"
	"synoptic/scan/target"
)

// maxSeed keeps the seed exact in JSON, whose readers hold numbers as IEEE 754 doubles (RFC 8259
// section 6).
const maxSeed = 1<<53 - 1

// withDefaults checks the fields that stand alone and fills in the defaults that need no look at
// the host.
func (c Config) withDefaults() (Config, error) {
	if err := c.check(); err != nil {
		return c, err
	}
	c.Args, c.GatewayMAC, c.Source = slices.Clone(c.Args), slices.Clone(c.GatewayMAC), c.Source.Unmap()
	c.Beacons, c.RatePerPrefix = slices.Clone(c.Beacons), slices.Clone(c.RatePerPrefix)
	for i, b := range c.Beacons {
		c.Beacons[i] = netip.AddrPortFrom(b.Addr().Unmap(), b.Port())
	}
	if c.Host == nil {
		c.Host = ThisHost()
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Attempts == 0 {
		c.Attempts = DefaultAttempts
	}
	if c.TargetRecall > 0 {
		c.Attempts = MaxAttempts
	}
	if c.RetryGap == 0 {
		c.RetryGap = DefaultRetryGap
	}
	if c.Wait == 0 {
		c.Wait = DefaultWait
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = DefaultMaxMemory
	}
	if c.Show == 0 {
		c.Show = results.Open
	}
	if c.Backend == "" {
		c.Backend = BackendAuto
	}
	if c.ShardOf == 0 {
		c.ShardI, c.ShardOf = 1, 1
	}
	return c, nil
}

// check refuses what no host could do.
func (c *Config) check() error {
	switch {
	case c.Targets == nil:
		return refuse("Targets", "", "no targets")
	case c.Seed > maxSeed:
		return refuse("Seed", "choose a seed from 0 to 9007199254740991", "seed %d does not fit a JSON number exactly", c.Seed)
	case !(c.Rate >= 0): // nor NaN
		return refuse("Rate", "give a rate above 0, for instance 10k", "negative rate")
	case !(c.Bandwidth >= 0):
		return refuse("Bandwidth", "give a rate above 0, for instance 10k", "negative rate")
	case !(c.MinRate >= 0):
		return refuse("MinRate", "give a rate above 0, for instance 1k", "negative rate")
	case !(c.MaxRate >= 0):
		return refuse("MaxRate", "give a rate above 0, for instance 100k", "negative rate")
	case c.MinRate > 0 && !c.Auto:
		return refuse("MinRate", "give it with Rate auto, or Rate alone", "MinRate is about a rate that is found out, and Rate is not auto")
	case c.MaxRate > 0 && !c.Auto:
		return refuse("MaxRate", "give it with Rate auto, or Rate alone", "MaxRate is about a rate that is found out, and Rate is not auto")
	case c.Wait < 0:
		return refuse("Wait", "give a duration such as 8s", "negative Wait")
	case c.Batch < 0 || c.Batch > MaxBatch:
		return refuse("Batch", fmt.Sprintf("give 1 to %d", MaxBatch), "a batch of %d probes", c.Batch)
	case c.Lanes < 0 || c.Lanes > MaxLanes:
		return refuse("Lanes", fmt.Sprintf("give 1 to %d", MaxLanes), "%d lanes", c.Lanes)
	case c.Attempts < 0 || c.Attempts > MaxAttempts:
		return refuse("Attempts", fmt.Sprintf("give 0 to %d retries", MaxAttempts-1), "%d retries", c.Attempts-1)
	case !(c.TargetRecall >= 0 && c.TargetRecall < 1):
		return refuse("TargetRecall", "give a share such as 0.999", "a target recall of %v is not a share below 1", c.TargetRecall)
	case c.RetryGap < 0:
		return refuse("RetryGap", "give a duration such as 1s", "negative retry gap")
	case c.Patience < 0:
		return refuse("Patience", "give a duration such as 60s", "negative Patience")
	case len(c.Beacons) > MaxBeacons:
		return refuse("Beacons", fmt.Sprintf("give up to %d", MaxBeacons), "%d beacons", len(c.Beacons))
	case c.GatewayMAC != nil && !isUnicast(c.GatewayMAC):
		return refuse("GatewayMAC", "give that of the gateway's own interface, such as 02:00:5e:10:00:01", "%v is not the MAC address of an interface", c.GatewayMAC)
	case c.ShardI != 0 && c.ShardOf == 0:
		return refuse("ShardOf", "give both numbers: part i of n", "shard %d without a number of shards", c.ShardI)
	}
	return c.checkLimits()
}

// isUnicast tells whether an Ethernet address is one interface's, and not that of a group or of none (IEEE 802, clause 8.2).
func isUnicast(a net.HardwareAddr) bool {
	return len(a) == 6 && a[0]&1 == 0 && !slices.Equal(a, make(net.HardwareAddr, 6))
}

// checkBeacons refuses those that are no targets: nothing is probed that was not asked for.
func checkBeacons(beacons []netip.AddrPort, targets *target.Set) error {
	for _, b := range beacons {
		switch {
		case b.Port() == 0:
			return refuse("Beacons", "give a port that answers", "beacon %v has no port", b.Addr())
		case !targets.Contains(b.Addr()):
			return refuse("Beacons", "choose a beacon among the targets, or add its address to them", "beacon %v is not among the targets", b)
		}
	}
	return nil
}

// checkSource refuses a source address that cannot reach all targets.
func checkSource(source netip.Addr, targets *target.Set) error {
	if !source.IsValid() {
		return nil
	}
	for _, a := range []netip.Addr{targets.At(0), targets.At(targets.Len() - 1)} { // IPv4 sorts first
		if a.Is4() != source.Is4() {
			return refuse("Source", "scan IPv4 and IPv6 targets separately, each with its own source address, or leave Source out",
				"source address %v cannot reach the %s target %v", source, map[bool]string{true: "IPv4", false: "IPv6"}[a.Is4()], a)
		}
	}
	return nil
}
