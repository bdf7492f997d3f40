// Command simnet shows the program at work on a simulated internet: it brings one up in network
// namespaces of its own, where every address and port answers by a keyed hash, scans it with the real
// program, and holds what was found against the truth. Not one packet leaves the machine.
//
//	go run ./bench/simnet
//	go run ./bench/simnet -prefix 10.0.0.0/10 -ports 80,443 -open 0.05 -loss 0 -- --retries 0 --rate 1M
//
// What follows -- goes to "synoptic scan", after the defaults --backend ebpf --rate 300k --retries 1. Loading XDP
// programs needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
	"synoptic/scan/target"
)

// Exit codes, as the program itself has them.
const (
	exitComplete = iota
	exitFailure
	exitUsage
	exitStopped
)

// maxProbes bounds a demonstration: the results take a bit of memory for each.
const maxProbes = 1 << 30

// options are the command line, understood.
type options struct {
	internet responder.Config
	prefix   netip.Prefix
	ports    *target.Ports
	scanArgs []string // given to the program after the defaults
}

func (o options) probes() uint64 {
	return uint64(o.ports.Len()) << (32 - o.prefix.Bits())
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parse(args, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitComplete
	case err != nil:
		explain(os.Stderr, err)
		return exitUsage
	}
	// From here on in a network of our own; what is above ran twice.
	if err := testnet.Enter(); err != nil {
		explain(os.Stderr, err)
		return exitFailure
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := simulate(ctx, o, os.Stderr)
	switch {
	case errors.Is(err, errInterrupted):
		explain(os.Stderr, err)
		return exitStopped
	case err != nil:
		explain(os.Stderr, err)
		return exitFailure
	}
	r.print(os.Stdout)
	return exitComplete
}

// usageError is a mistake on the command line.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// Hint says how to fix it.
func (e *usageError) Hint() string { return e.hint }

func explain(w io.Writer, err error) {
	fmt.Fprintf(w, "simnet: %v\n", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(w, "hint: %s\n", h.Hint())
	}
}

func parse(args []string, usage io.Writer) (o options, err error) {
	f := flag.NewFlagSet("simnet", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	prefix := f.String("prefix", "10.128.0.0/12", "`addresses` that exist and are scanned, IPv4, /8 at most")
	ports := f.String("ports", "443", "`ports` that are scanned, as for synoptic -p")
	c := &o.internet
	f.Uint64Var(&c.Seed, "seed", 1, "which of all networks with these shares")
	f.Float64Var(&c.Open, "open", 0.01, "share of ports that are open")
	f.Float64Var(&c.Closed, "closed", 0.3, "share of ports that are closed; the rest does not respond")
	f.Float64Var(&c.Alive, "alive", 1, "share of addresses that exist at all")
	f.Float64Var(&c.AnswerAll, "answer-all", 0, "share of hosts that open every port")
	loss := f.Float64("loss", 0.01, "share of packets lost, each way")
	f.Float64Var(&c.Duplicates, "duplicates", 0, "share of replies that arrive twice")
	resets := f.Uint("resets-per-host", 0, "most RSTs a second from one address (0: no limit)")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(usage, "usage: simnet [flags] [-- flags of synoptic scan]\n\nScans a simulated internet in namespaces of its own and compares with the truth.")
		f.SetOutput(usage)
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, &usageError{err.Error(), "see -help; flags of the scan come after --"}
	}
	o.scanArgs = f.Args()
	if len(o.scanArgs) > 0 && !separated(args, len(o.scanArgs)) {
		return o, &usageError{fmt.Sprintf("unexpected argument %q", o.scanArgs[0]), "flags of the scan come after --, targets are given by -prefix"}
	}
	p, err := netip.ParsePrefix(*prefix)
	if err != nil || !p.Addr().Is4() || p.Bits() < 8 {
		return o, &usageError{fmt.Sprintf("-prefix %q: want an IPv4 prefix from /8 to /32", *prefix), "for example -prefix 10.128.0.0/12"}
	}
	o.prefix = p.Masked()
	if o.ports, err = target.ParsePorts(*ports); err != nil {
		return o, fmt.Errorf("-ports: %w", err)
	}
	if o.probes() > maxProbes {
		return o, &usageError{fmt.Sprintf("%s ports to scan: at most %s", grouped(o.probes()), grouped(maxProbes)), "take a smaller -prefix or fewer -ports"}
	}
	c.LossIn, c.LossOut = *loss, *loss
	if *resets > 1<<20 {
		return o, &usageError{fmt.Sprintf("-resets-per-host %d: at most %d", *resets, 1<<20), "0 sets no limit"}
	}
	c.ResetsPerHost = uint32(*resets)
	if c.Alive == 0 {
		return o, &usageError{"-alive 0: no address would exist", "-open 0 -closed 0 makes a network that does not respond"}
	}
	c.LocalNet = linkNet(o.prefix)
	if err := c.Validate(); err != nil {
		return o, &usageError{err.Error(), "shares are numbers from 0 to 1: 0.01 is one percent"}
	}
	return o, nil
}

// separated tells whether "--" stands before the last n arguments.
func separated(args []string, n int) bool {
	return len(args) > n && args[len(args)-n-1] == "--"
}

// linkNet is a network for the link itself that is not among the targets.
func linkNet(targets netip.Prefix) netip.Prefix {
	p := netip.MustParsePrefix("10.76.0.0/24")
	if p.Overlaps(targets) {
		return netip.MustParsePrefix("198.18.76.0/24") // RFC 2544: for benchmarks
	}
	return p
}
