package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"synoptic/scan/plan"
)

// What a scan and a monitor have in common.

// registerTargets are the flags that say what is probed.
func (f *scanFlags) registerTargets(fl *pflag.FlagSet) {
	fl.VarP((*words)(&f.ports), "ports", "p", "ports `LIST`: 22,80,8000-8100,http, or - for all 65,535")
	fl.IntVar(&f.topPorts, "top-ports", 0, fmt.Sprintf("the `N` most important ports, as synoptic ports lists them (default %d, without -p)", defaultTopPorts))
	fl.VarP((*words)(&f.targetFiles), "targets-file", "i", "read targets from `FILE` (- for standard input)")
	fl.Var((*words)(&f.exclude), "exclude", "`TARGETS` that are never probed")
	fl.Var((*words)(&f.excludeFiles), "exclude-file", "read targets that are never probed from `FILE`")
	fl.Var((*words)(&f.excludePorts), "exclude-ports", "ports `LIST` that is not probed on any target, written as for --ports")
	fl.BoolVarP(&f.only4, "ipv4", "4", false, "probe IPv4 targets only")
	fl.BoolVarP(&f.only6, "ipv6", "6", false, "probe IPv6 targets only")
	fl.BoolVar(&f.strict, "strict", false, "refuse host names without an address and targets without a route, instead of skipping them")
	fl.Var((*words)(&f.scope), "scope", "`FILE` with the authorized prefixes: a target outside is refused")
}

// registerPath are those that say by which way.
func (f *scanFlags) registerPath(fl *pflag.FlagSet) {
	fl.Var((*words)(&f.beacons), "beacon", "`HOST:PORT` of the targets that is known to answer: it is probed repeatedly, to tell filtered ports from an outage")
	fl.DurationVar(&f.patience, "patience", plan.DefaultPatience, "wait this `TIME` when answers have stopped, before the ports probed meanwhile become unknown")
	fl.VarP((*words)(&f.iface), "interface", "e", "interface `NAME` to send from (default by the routing table)")
	fl.Var((*word)(&f.sourceIP), "source-ip", "`ADDRESS` to send from (default by the routing table)")
	fl.BoolVar(&f.spoof, "spoof-source", false, "allow a --source-ip that this host does not have; ARP requests for it are answered where it is on-link")
	fl.Uint16Var(&f.sourcePort, "source-port", 0, "first source `PORT` (default above the ephemeral range)")
	fl.Var((*word)(&f.gatewayMAC), "gateway-mac", "`MAC` address of the gateway (default by the neighbour table and ARP)")
}
