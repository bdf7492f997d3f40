package main

import (
	"context"
	"errors"
	"log"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench"
	"synoptic/bench/lab/peers"
)

// measure runs a scene's contenders in turns, the order rotated by one each round, so that what
// disturbs the machine for a while disturbs all of them. Failures are told in the rows; the error is
// one of the network.
func measure(ctx context.Context, s scene, o options, program *bench.Program) (c Case, err error) {
	c = Case{Name: s.name, Text: s.text, Metric: s.metric, Positions: s.positions(), MapBytes: s.mapBytes(), Runs: s.rounds(o.runs)}
	f, err := newField(s)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, w := range f.Warnings {
		log.Printf("network: %s", w)
	}
	all := contenders(s, o, program)
	for _, k := range all {
		if k.row.Missing == "" {
			k.row.Open, k.row.Positions = f.openIn(k.targets), uint64(s.portCount)<<(32-k.targets.Bits())
		}
		c.Rows = append(c.Rows, k.row)
	}
	for round := range c.Runs {
		for _, at := range turns(round, len(all)) {
			row := &c.Rows[at]
			if row.Missing != "" {
				continue
			}
			sample, command, err := once(ctx, f, all[at], row)
			if ctx.Err() != nil {
				return c, ctx.Err()
			}
			if r := (*refusal)(nil); errors.As(err, &r) {
				row.Missing = r.reason
				log.Printf("%s: %s: %s", s.name, row.Label, row.Missing)
				continue
			}
			if err != nil {
				sample = Sample{Error: err.Error()}
			}
			if command != "" {
				row.Command = command
			}
			sample.Round = round
			row.Samples = append(row.Samples, sample)
			log.Printf("%s: round %d of %d: %s: %s", s.name, round+1, c.Runs, row.Label, sample.summary(row))
		}
	}
	return c, nil
}

// turns is the order of n contenders in a round: each is first once in n rounds.
func turns(round, n int) (order []int) {
	for i := range n {
		order = append(order, (i+round)%n)
	}
	return order
}

// once runs a contender, with everything measured around it.
func once(ctx context.Context, f *field, k contender, row *Row) (s Sample, command string, err error) {
	undo, err := f.makeReady(k)
	if err != nil {
		return s, "", err
	}
	defer func() { err = errors.Join(err, undo()) }()
	if err := f.settle(); err != nil {
		return s, "", err
	}
	probesBefore, repliesBefore, err := f.dropped()
	if err != nil {
		return s, "", err
	}
	stop, err := pace(f.probes)
	if err != nil {
		return s, "", err
	}
	before, err := busy()
	if err != nil {
		return s, "", err
	}
	var after float64
	var errAfter error
	got, err := k.run(ctx, f, func() { after, errAfter = busy() })
	probes, pps, errPace := stop()
	probesAfter, repliesAfter, errDropped := f.dropped()
	if err := errors.Join(err, errPace, errAfter, errDropped); err != nil {
		return s, "", err
	}
	s = got.Sample
	s.Busy, s.Probes, s.PPS = after-before, probes, pps
	s.ProbesDropped, s.LinkDrops = probesAfter-probesBefore, repliesAfter-repliesBefore
	if row.Tool == peers.Masscan.Name || row.Tool == peers.Zmap.Name {
		s.Firsts = probes // they are not asked for retries
	}
	s.Found, s.False = f.judge(got.open)
	// The names of this network say nothing.
	return s, strings.NewReplacer(f.Link, "IF", f.PeerHardwareAddr.String(), "MAC").Replace(got.command), nil
}

// settle waits until no probes of an earlier run are under way.
func (f *field) settle() error {
	last, err := f.probes()
	for range 50 {
		if err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		var now uint64
		if now, err = f.probes(); now == last {
			return err
		}
		last = now
	}
	return errors.New("probes come although nothing runs")
}

// dropped reads how many frames either end of the link has dropped because the other did not take them:
// of those to the far end, and of replies.
func (f *field) dropped() (probes, replies uint64, err error) {
	read := func(name string) (uint64, error) {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return 0, err
		}
		return l.Attrs().Statistics.TxDropped, nil
	}
	if probes, err = read(f.Link); err != nil {
		return 0, 0, err
	}
	err = f.Do(func() (err error) { replies, err = read(f.PeerLink); return err })
	return probes, replies, err
}
