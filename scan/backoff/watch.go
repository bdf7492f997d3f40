package backoff

import (
	"net/netip"
	"time"
)

// Tick is how often Watch.Look is to be called.
const Tick = 100 * time.Millisecond

// Reason is why a prefix is slowed.
type Reason uint8

// The reasons.
const (
	Prohibitions Reason = iota // ICMP errors have taken the place of other answers
	Resets                     // RSTs have taken the place of SYN-ACKs
	Storm                      // more RSTs come than probes leave
)

// Config says what is watched.
type Config struct {
	// Share is the part of the targets that is in a prefix, from 0 to 1.
	Share func(netip.Prefix) float64
	// Trip is the largest smoothed round trip so far; 0: none is known.
	Trip func() time.Duration
	// Powerless tells that nothing can be slowed: changes are told, and that is all.
	Powerless bool
}

// Watch judges what was counted. One goroutine calls it.
type Watch struct {
	config Config
	counts *Counts
	tracks [size]*track
	slowed int
	evenly [quietTime/int64(Tick) + 1]float64 // probes that went to all prefixes alike, at the last looks: a ring
	looks  int
}

// NewWatch judges counts that are at zero.
func NewWatch(c Config, counts *Counts) *Watch { return &Watch{config: c, counts: counts} }

// Change is what is to be done with a prefix, and told. Times are in ns of the clock of Look.
type Change struct {
	Prefix netip.Prefix
	Reason Reason
	Rate   float64 // packets per second from now on; 0: as fast as others again
	Full   float64 // what it got before
	Begin  int64   // when it began to refuse
	Began  bool    // it was not slowed before
	Ended  Ending  // why it is as fast as others again
}

// Ending is why a prefix is not slowed any more.
type Ending uint8

// The endings. Behind Vain and Crowded, the prefix is not slowed again.
const (
	NotEnded Ending = iota
	Over            // it has ended to refuse
	Vain            // it refuses as much however slow it is, so that is not because of us
	Crowded         // there was no room for what was put off
	Finished        // nothing more is sent
)

// Slowed is how many prefixes are slowed at the moment.
func (w *Watch) Slowed() int { return w.slowed }

// Look says what changes, given the time in ns of any clock.
func (w *Watch) Look(now int64) (all []Change) {
	evenly := float64(w.counts.evenly.Load())
	lag := int((w.config.Trip() + Tick - 1) / Tick)
	w.looks++
	before := w.evenly[w.looks%len(w.evenly)]
	w.evenly[w.looks%len(w.evenly)] = evenly
	for i := range w.counts.entries {
		e := &w.counts.entries[i]
		key := e.key.Load()
		if key == 0 {
			continue
		}
		t := w.tracks[i]
		if t == nil {
			t = &track{prefix: prefixOf(key), entry: e, powerless: w.config.Powerless}
			if t.share = w.config.Share(t.prefix); before*t.share >= quietSent {
				t.quiet = now - quietTime // its first answer has come just now
			}
			w.tracks[i] = t
		}
		if c, changed := t.look(now, evenly, lag); changed {
			all = append(all, w.note(t, c))
		}
	}
	return all
}

// GiveWay speeds all slowed prefixes up, for what is put off for them has no room any more. Call it again until there is.
func (w *Watch) GiveWay(now int64) (all []Change) {
	return w.each(func(t *track) Change { return t.faster(now, Crowded) })
}

// End releases all that are slowed, for nothing more is sent.
func (w *Watch) End() (all []Change) {
	return w.each(func(t *track) Change { return t.release(0, Finished) })
}

// each does something with every slowed prefix.
func (w *Watch) each(f func(*track) Change) (all []Change) {
	for _, t := range w.tracks {
		if w.slowed > 0 && t != nil && t.slow != nil {
			all = append(all, w.note(t, f(t)))
		}
	}
	return all
}

// note keeps count of what is slowed.
func (w *Watch) note(t *track, c Change) Change {
	d := 0
	switch {
	case w.config.Powerless:
	case c.Began:
		d = 1
	case c.Rate == 0:
		d = -1
	}
	w.slowed += d
	if c.Reason == Prohibitions && d != 0 {
		w.counts.slowed.Add(int32(d))
		t.entry.refuses.Store(d > 0)
	}
	return c
}
