package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/peers"
)

// cell is a path of the table tbf.
type cell struct {
	Capacity float64 // packets per second
	Queue    time.Duration
	Trip     time.Duration // of a round
	Loss     float64       // per cent, each way
	Bits     int           // prefix length of the targets
}

func (c *cell) String() string {
	return fmt.Sprintf("C %gk, Q %d ms, RTT %d ms, loss %g %%", c.Capacity/1000, c.Queue.Milliseconds(), c.Trip.Milliseconds(), c.Loss)
}

// paths are those of the tables that look at one capacity, with their names. A round trip of 0 is that of veth.
func paths(yield func(name string, p cell) bool) {
	for _, queue := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
		for _, trip := range []time.Duration{0, slowTrip} {
			name := fmt.Sprintf("Q %d ms, RTT %d ms", queue.Milliseconds(), max(trip, fastTrip).Milliseconds())
			if !yield(name, cell{Queue: queue, Trip: trip}) {
				return
			}
		}
	}
}

const (
	// fastTrip is what veth takes at most: nothing is added to it.
	fastTrip, slowTrip = time.Millisecond, 50 * time.Millisecond
	// retries of synoptic, by default.
	retries = 2
	// listening is how many of the live addresses have the port open, one in 16 where that is less; the others answer with a reset.
	listening = 1000
	// unlimited is a rate above what any tool reaches.
	unlimited = 10_000_000
)

// cells of the table. Sizes are such that synoptic's ideal scan takes some 11 to 14 s.
func cells(o *options) (all []cell) {
	if o.quick {
		return []cell{{Capacity: 5000, Queue: 200 * time.Millisecond, Trip: slowTrip, Loss: 1, Bits: 20}}
	}
	for _, size := range []struct {
		capacity float64
		bits     int
	}{{5000, 17}, {20_000, 15}, {50_000, 14}} {
		for _, queue := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
			for _, trip := range []time.Duration{fastTrip, slowTrip} {
				for _, loss := range []float64{0, 1} {
					c := cell{size.capacity, queue, trip, loss, size.bits}
					if o.wants(c.String()) {
						all = append(all, c)
					}
				}
			}
		}
	}
	return all
}

// way of the cell, half of whose addresses answer, for probes of so many bytes.
func (c *cell) way(frame float64) way {
	targets := netip.PrefixFrom(netip.MustParseAddr("10.128.0.0"), c.Bits)
	w := way{
		targets: targets, alive: everyOther(targets), rate: c.Capacity * frame, queue: c.Queue, loss: c.Loss,
		port: 80, open: min(listening, 1<<(32-c.Bits)/32), separate: c.Capacity >= 50_000,
	}
	if c.Trip > fastTrip {
		w.trip = c.Trip
	}
	return w
}

// ideal is how many seconds a scan takes at the capacity: every target once, and what is silent as often again as the tool's own rule
// says: synoptic --retries times, nmap once, masscan and zmap never.
func (c *cell) ideal(tool string) float64 {
	again := map[string]int{"synoptic": retries, peers.Nmap.Name: 1}[tool]
	all := float64(uint64(1) << (32 - c.Bits))
	arrives := 1 - c.Loss/100
	lost := 1 - arrives*arrives
	probes, silentLive := all, all/2
	for range again {
		silentLive *= lost
		probes += all/2 + silentLive
	}
	return probes / c.Capacity
}

// scanners of a cell; those that know no better than their default, which has nothing to do with the path, in one of a capacity.
func (c *cell) scanners(p *bench.Program) []scanner {
	fixed := int(c.Capacity)
	all := []scanner{
		ours(p, "--rate", "auto"),
		ours(p, "--rate", fmt.Sprint(fixed)),
		theirs(peers.Masscan, "unlimited", unlimited),
		theirs(peers.Masscan, "at C", fixed),
		theirs(peers.Zmap, "unlimited", unlimited),
		theirs(peers.Zmap, "at C", fixed),
		theirs(peers.Nmap, "unlimited (-T5 --min-rate)", unlimited, "-T5"),
		theirs(peers.Nmap, "at C (--min-rate, --max-rate)", fixed, "--max-rate", fmt.Sprint(fixed)),
	}
	if c.Queue >= 200*time.Millisecond && c.Loss == 0 && c.Trip == fastTrip {
		all = append(all, theirs(peers.Masscan, "default (100 pps)", 0), theirs(peers.Zmap, "default (10k pps)", 0), theirs(peers.Nmap, "default", 0))
	}
	return all
}

// tbfRow is one run.
type tbfRow struct {
	Cell cell
	tried
}

// tbf is the automatic rate and others through bottlenecks.
func tbf(ctx context.Context, o *options) (result, error) {
	program := o.program
	frames := map[string]float64{}
	for _, s := range []scanner{ours(program, "--rate", "1000"), theirs(peers.Masscan, "", 1000), theirs(peers.Zmap, "", 1000), theirs(peers.Nmap, "", 0)} {
		if s.missing() != nil {
			continue
		}
		frame, err := weigh(ctx, &s)
		if err != nil {
			return result{}, err
		}
		frames[s.tool] = frame
	}
	var rows []tbfRow
	var lines [][]string
	for _, c := range cells(o) {
		for _, s := range c.scanners(program) {
			bound := o.bound
			ideal := c.ideal(s.tool)
			if bound == 0 {
				times := 2.0
				if s.tool == "synoptic" {
					times = 4
				}
				bound = time.Duration((times*ideal + 10) * float64(time.Second))
			}
			x, err := try(ctx, &s, c.way(frames[s.tool]), bound)
			if err != nil {
				return result{}, fmt.Errorf("%v: %w", &c, err)
			}
			x.Ideal, x.Frame = ideal, frames[s.tool]
			rows = append(rows, tbfRow{c, x})
			lines = append(lines, append([]string{c.String(), s.String()}, x.columns()...))
		}
	}
	var weights []string
	for _, tool := range []string{"synoptic", peers.Masscan.Name, peers.Zmap.Name, peers.Nmap.Name} {
		if f := frames[tool]; f > 0 {
			weights = append(weights, fmt.Sprintf("%s's has %.0f bytes", tool, f))
		}
	}
	text := fmt.Sprintf(`## Bottlenecks

C is the capacity in probes per second, whatever a probe weighs (%s), Q the queue before it, and RTT 50 ms the answers' delay in user space. Half of the addresses answer, %d
of them with an open port, the others with a reset; loss is each way, behind the bottleneck. "÷ ideal" is the time from the first probe to the last at the router
by that at C: every target once, and what is silent as often again as the tool's rule says (synoptic twice, nmap once, masscan and zmap never). "s in all" is the process's time.
"dropped" is the bottleneck's share of all packets, beacons and resets among them; "by links" are packets that veth dropped, either way, for want
of room: the machine's doing. %s. At 50k the tools run on one processor and the router receives on the other.

`, strings.Join(weights, ", "), listening, lateness(rows))
	return result{Rows: rows, text: text + grid([]string{"path", "tool", "÷ ideal", "recall", "dropped", "by links", "probes", "s in all", "limited by", ""}, lines)}, nil
}

// lateness says how exact the delay of answers was, by capacity.
func lateness(rows []tbfRow) string {
	var parts []string
	for i, r := range rows {
		if i > 0 && rows[i-1].Cell.Capacity == r.Cell.Capacity {
			continue
		}
		late, latest := 0.0, 0.0
		for _, x := range rows {
			if x.Cell.Capacity == r.Cell.Capacity && x.Tool == "synoptic" {
				late, latest = max(late, x.Late), max(latest, x.Latest)
			}
		}
		parts = append(parts, fmt.Sprintf("at %gk %.1f ms, and %.0f ms at most", r.Cell.Capacity/1000, 1000*late, 1000*latest))
	}
	return "One delayed answer in a hundred came later than asked for by (in the worst run of synoptic) " + strings.Join(parts, "; ")
}

// columns of a run in the table.
func (x *tried) columns() []string {
	if x.Missing != "" {
		return []string{"", "", "", "", "", "", "", x.Missing}
	}
	dropped := "–"
	if all := x.Passed + x.Dropped; all > 0 {
		dropped = fmt.Sprintf("%.2f %%", 100*float64(x.Dropped)/float64(all))
	}
	return []string{fmt.Sprintf("%.2f", x.Seconds/x.Ideal), x.recall(), dropped, fmt.Sprint(x.LinkDrops), fmt.Sprint(x.Probes), fmt.Sprintf("%.1f", x.Wall), x.LimitedBy, x.says()}
}
