package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// transferRow is what a TCP transfer had beside something else.
type transferRow struct {
	Queue, Trip                  time.Duration
	Alone, BesideTCP, BesideScan float64 // bits per second of payload
	Scan                         float64 // probes per second that came meanwhile
}

const (
	bottleneckBits = 20e6
	transferPort   = 8080
	settleFor      = 2 * time.Second // before a transfer is measured
)

// transfer is a TCP transfer through the bottleneck, the way that probes go, beside a second one and beside a scan.
func transfer(ctx context.Context, o *options) (result, error) {
	measured := 10 * time.Second
	if o.quick {
		measured = 3 * time.Second
	}
	var rows []transferRow
	var lines [][]string
	for name, p := range paths {
		queue, trip := p.Queue, p.Trip
		if !o.wants(name) || o.quick && len(rows) > 0 {
			continue
		}
		row := transferRow{Queue: queue, Trip: trip}
		for _, beside := range []struct {
			to        *float64
			tcp, scan bool
		}{{&row.Alone, false, false}, {&row.BesideTCP, true, false}, {&row.BesideScan, false, true}} {
			var err error
			if *beside.to, err = row.run(ctx, o, beside.tcp, beside.scan, measured); err != nil {
				return result{}, err
			}
		}
		rows = append(rows, row)
		lines = append(lines, []string{
			name, mega(row.Alone), mega(row.BesideTCP), mega(row.BesideScan), fmt.Sprintf("%.0f %%", 100*row.BesideScan/row.BesideTCP), fmt.Sprintf("%.0f", row.Scan),
		})
	}
	text := fmt.Sprintf(`## A TCP transfer beside a scan

One TCP connection (the kernel's congestion control) through %g Mbit/s, the way that probes go: alone, beside a second one, and beside a scan at `+"`--rate auto`"+`. Payload in Mbit/s over %v, from %v after
all have begun.

`, bottleneckBits/1e6, measured, settleFor)
	return result{Rows: rows, text: text + grid([]string{"path", "alone", "beside a second", "beside a scan", "scan ÷ second", "probes per second meanwhile"}, lines)}, nil
}

func mega(bits float64) string { return fmt.Sprintf("%.1f", bits/1e6) }

// run measures what a transfer has.
func (row *transferRow) run(ctx context.Context, o *options, second, scan bool, measured time.Duration) (bits float64, err error) {
	c := cell{Capacity: bottleneckBits / 8 / synFrame, Queue: row.Queue, Trip: row.Trip, Bits: 12}
	w := c.way(synFrame)
	r, err := build(w)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	ctx, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	to := netip.AddrPortFrom(w.targets.Addr().Next(), transferPort)
	sink, err := listen(r, to)
	if err != nil {
		return 0, err
	}
	running.Go(func() { <-ctx.Done(); sink.Close() })
	connections := 1
	if second {
		connections = 2
	}
	var payload [2]atomic.Uint64
	failed := make(chan error, 4)
	fail := func(err error) {
		if ctx.Err() == nil {
			failed <- err
		}
	}
	for i := range connections {
		out, err := net.Dial("tcp4", to.String())
		if err != nil {
			return 0, err
		}
		in, err := sink.Accept()
		if err != nil {
			out.Close()
			return 0, err
		}
		running.Go(func() { <-ctx.Done(); out.Close(); in.Close() })
		running.Go(func() { fail(push(out)) })
		running.Go(func() { fail(drain(in, &payload[i])) })
	}
	m, err := follow(r)
	if err != nil {
		return 0, err
	}
	if scan {
		running.Go(func() {
			s := ours(o.program, "--rate", "auto")
			if _, err := s.run(ctx, r, &w, 10*time.Minute); err != nil {
				fail(err)
			} else {
				fail(errors.New("the scan was over before the transfer was measured"))
			}
		})
		for begun := m.now(); m.now() == begun; {
			if err := wait(ctx, meterStep); err != nil {
				return 0, errors.Join(err, m.stop())
			}
		}
	}
	pause := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
	err = pause(settleFor)
	begun, before, probes := time.Now(), payload[0].Load(), m.now()
	if err == nil {
		err = pause(measured)
	}
	took := time.Since(begun).Seconds()
	bits = 8 * float64(payload[0].Load()-before) / took
	if scan {
		row.Scan = float64(m.now()-probes) / took
	}
	return bits, errors.Join(err, m.stop())
}

// listen waits for connections in the targets' namespace.
func listen(r *road, at netip.AddrPort) (sink net.Listener, err error) {
	err = r.hosts.Do(func() error {
		sink, err = net.Listen("tcp4", at.String())
		return err
	})
	return sink, err
}

// push sends until the connection is closed.
func push(to io.Writer) error {
	for block := make([]byte, 64<<10); ; {
		if _, err := to.Write(block); err != nil {
			return err
		}
	}
}

// drain counts what comes until the connection is closed.
func drain(from io.Reader, n *atomic.Uint64) error {
	for block := make([]byte, 64<<10); ; {
		k, err := from.Read(block)
		n.Add(uint64(k))
		if err != nil {
			return err
		}
	}
}
