package main

import (
	"context"
	"fmt"
	"log"
	"time"
)

// tried is one run in a table.
type tried struct {
	Tool, Setting string
	Frame         float64 `json:",omitempty"` // bytes of a probe
	Missing       string  `json:",omitempty"` // why there is nothing else
	Open          int     // ports
	Found, False  int
	Probes        uint64  // that came to the router, without beacons
	Seconds       float64 // from the first of them to the last
	Ideal         float64 `json:",omitempty"` // s
	Passed        uint64  // packets that the bottleneck let through
	Dropped       uint64  // and that it dropped
	LinkDrops     uint64  // packets, either way, that links dropped for want of room
	// Late is by how much, in s, one delayed answer in a hundred left later than it should, and Latest the most.
	Late, Latest float64 `json:",omitempty"`
	outcome
}

// try runs a scanner on a road of its own.
func try(ctx context.Context, s *scanner, w way, bound time.Duration) (x tried, err error) {
	x = tried{Tool: s.tool, Setting: s.setting}
	if err := s.missing(); err != nil {
		x.Missing = "not installed"
		return x, nil
	}
	r, err := build(w)
	if err != nil {
		return x, err
	}
	defer r.Close()
	x.Open = len(r.open)
	m, err := follow(r)
	if err != nil {
		return x, err
	}
	run := func() (err error) { x.outcome, err = s.run(ctx, r, &w, bound); return err }
	if w.separate {
		err = onFirst(run)
	} else {
		err = run()
	}
	if e := m.stop(); err == nil {
		err = e
	}
	if err != nil {
		return x, fmt.Errorf("%v: %w", s, err)
	}
	probes, first, last := m.span(0)
	x.Probes, x.Seconds = probes, max(0, last.Sub(first).Seconds())
	x.Found, x.False = r.found(x.open)
	if w.rate > 0 {
		p, err := r.hosts.Passed()
		if err != nil {
			return x, err
		}
		x.Passed, x.Dropped = p.Packets, p.Dropped
	}
	if x.LinkDrops, err = r.linkDrops(); err != nil {
		return x, err
	}
	if x.Late, x.Latest, err = r.undelay(); err != nil {
		return x, err
	}
	log.Printf("%v: found %d of %d by %d probes in %.2f s, %d dropped, limited by %q", s, x.Found, x.Open, x.Probes, x.Seconds, x.Dropped, x.LimitedBy)
	return x, nil
}

// recall is the share of the open ports found, never 1 for what is less.
func (x *tried) recall() string {
	if x.Open == 0 {
		return "–"
	}
	s := fmt.Sprintf("%.4f", float64(x.Found)/float64(x.Open))
	if x.Found < x.Open && s == "1.0000" {
		s = "0.9999+"
	}
	if x.False > 0 {
		s += fmt.Sprintf(", %d false", x.False)
	}
	return s
}

// says is what else there is to say of a run.
func (x *tried) says() string {
	switch {
	case x.Missing != "":
		return x.Missing
	case x.Stopped:
		return fmt.Sprintf("stopped after %.0f s", x.Wall)
	case x.Tool == "synoptic" && !x.Complete:
		return "says that it is not complete"
	}
	return ""
}
