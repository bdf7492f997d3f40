package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"synoptic/bench/lab/peers"
)

// lasthop is a router whose table of neighbours is too small for what a scan asks of it.
func lasthop(ctx context.Context, o *options) (result, error) {
	const every = 100
	w := way{targets: netip.MustParsePrefix("10.64.0.0/18"), lan: true, port: 80, open: -1}
	if o.quick {
		w.targets = netip.MustParsePrefix("10.64.0.0/20")
	}
	for i, a := 0, w.targets.Addr().Next(); w.targets.Contains(a); i, a = i+1, a.Next() {
		if i%every == 37 {
			w.alive = append(w.alive, netip.PrefixFrom(a, 32))
		}
	}
	bound := o.bound
	if bound == 0 {
		bound = 3 * time.Minute
	}
	all := []scanner{
		ours(o.program, "--rate", "10k", "--retries", "0"),
		ours(o.program, "--rate", "10k", "--retries", "2"),
		ours(o.program, "--rate", "auto", "--target-recall", "0.999"),
		theirs(peers.Nmap, "-T4", 0, "-T4"),
	}
	var rows []tried
	var cells [][]string
	for i := range all {
		if !o.wants(all[i].String()) {
			continue
		}
		x, err := try(ctx, &all[i], w, bound)
		if err != nil {
			return result{}, err
		}
		rows = append(rows, x)
		cells = append(cells, []string{all[i].String(), x.recall(), fmt.Sprint(x.Probes), fmt.Sprintf("%.1f", x.Seconds), fmt.Sprintf("%.1f", x.Wall), x.LimitedBy, x.says()})
		if err := forgotten(ctx); err != nil {
			return result{}, err
		}
	}
	text := fmt.Sprintf(`## A table of neighbours that is too small

The router asks for every address of %v by ARP; %d of them, one in %d, exist and have the port open. Its table of neighbours is the kernel's by default: 1,024 entries, which
those of addresses that do not exist hold for seconds. "s" is from the first probe to the last at the router, "s in all" what the process took.

`, w.targets, len(w.alive), every)
	return result{Rows: rows, text: text + grid([]string{"tool", "recall", "probes", "s", "s in all", "limited by", ""}, cells)}, nil
}

// forgotten waits until the entries of the network before have left the machine's table of neighbours: it is one for all namespaces.
func forgotten(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Second):
		return nil
	}
}
