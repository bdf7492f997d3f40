// Package diff compares two scans exactly: fill two Scans with their records, and call Compare for what is otherwise in the second.
//
// An open port is a fact, whatever else is not known. That a port is not open is one only where the scan has asked it while evidence held.
// So an interrupted scan, one of other targets or one that lost evidence can be compared as well: what it did not ask is
// unknown, and no change.
package diff

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// Kinds is how many changes there are of each kind.
type Kinds [results.NumChangeKinds]uint64

// Result is what two scans have and have not in common.
type Result struct {
	Changes []results.Change // by address and port
	Kinds   Kinds
	Same    uint64 // ports that are open in both
	// Hosts whose open ports are not to be believed in either scan: their ports are not compared.
	Suspect int
}

// Compare tells what is otherwise in after than in before.
func Compare(before, after *Scan) *Result {
	r := &Result{}
	suspects := map[netip.Addr]bool{}
	trusted := func(k key) bool {
		a := k.addr()
		if before.suspects[a] || after.suspects[a] {
			suspects[a] = true
			return false
		}
		return true
	}
	for k, now := range after.seen {
		if now.state() != results.Open || !trusted(k) {
			continue
		}
		if was, ok := before.seen[k]; ok && was.state() == results.Open {
			r.same(before, after, k, was, now)
		} else {
			r.opened(before, after, k, now)
		}
	}
	for k, was := range before.seen {
		if was.state() == results.Open && after.seen[k].state() != results.Open && trusted(k) {
			r.ended(before, after, k, was)
		}
	}
	r.Suspect = len(suspects)
	slices.SortFunc(r.Changes, func(a, b results.Change) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port))
	})
	r.Count()
	return r
}

// Count counts the changes by their kinds.
func (r *Result) Count() {
	r.Kinds = Kinds{}
	for i := range r.Changes {
		r.Kinds[r.Changes[i].Change]++
	}
}

// change is one of a port, as far as it depends on nothing but the scans and the port.
func change(kind results.ChangeKind, after *Scan, k key, at int64) results.Change {
	return results.Change{
		Time: moment(at), ScanID: after.ID, Change: kind, Addr: k.addr(), Port: k.port(), Proto: "tcp", Vantage: after.Vantage,
	}
}

func moment(ns int64) results.Time { return results.Time(time.Unix(0, ns)) }

// same is a port that is open in both.
func (r *Result) same(before, after *Scan, k key, was, now answer) {
	if was.service == "" || now.service == "" || was.service == now.service {
		r.Same++
		return
	}
	c := change(results.ChangeService, after, k, now.time)
	c.Hostname, c.Tags = now.hostname, now.tags
	c.Before, c.After, c.Reason = results.Open.String(), results.Open.String(), "banner"
	c.ServiceBefore, c.Service = was.service, now.service
	c.NotBefore, c.NotAfter = new(moment(was.time)), new(moment(now.time))
	r.Changes = append(r.Changes, c)
}

// opened is a port that is open now, and of which the scan before does not say so.
func (r *Result) opened(before, after *Scan, k key, now answer) {
	c := change(results.ChangeFound, after, k, now.time)
	c.Hostname, c.Tags, c.Service = now.hostname, now.tags, now.service
	c.After, c.NotAfter, c.Reason = results.Open.String(), new(moment(now.time)), now.evidence()
	was, answered := before.seen[k]
	switch {
	case answered && was.state() != results.Unknown:
		c.Change, c.Before, c.NotBefore = results.ChangeOpened, was.reason.Label(), new(moment(was.time))
	case before.Parts.Covers(k.addr(), k.port()):
		c.Change, c.Before = results.ChangeOpened, before.unseen()
		if !before.Begun.IsZero() {
			c.NotBefore = new(results.Time(before.Begun)) // it was asked some time after that
		}
	default:
		c.Before = results.Unknown.String()
	}
	r.Changes = append(r.Changes, c)
}

// ended is a port that was open, and of which the scan now does not say so.
func (r *Result) ended(before, after *Scan, k key, was answer) {
	at := after.Ended.UnixNano()
	now, answered := after.seen[k]
	if answered {
		at = now.time
	}
	c := change(results.ChangeUnknown, after, k, at)
	c.Hostname, c.Tags, c.Service = was.hostname, was.tags, was.service
	c.Before, c.NotBefore = results.Open.String(), new(moment(was.time))
	switch {
	case answered && now.state() == results.Closed:
		c.Change, c.After, c.Reason = results.ChangeClosed, now.reason.Label(), now.evidence()
	case answered && now.state() == results.Filtered:
		c.Change, c.After, c.Reason = results.ChangeGone, now.reason.Label(), now.evidence()
		if now.reason == results.NoResponse || now.reason == results.Timeout {
			c.PFalse = after.MissedShare
		}
	case answered || !after.Parts.Covers(k.addr(), k.port()):
		c.After = results.Unknown.String()
	default:
		c.After, c.PFalse = after.unseen(), after.MissedShare
		if c.Change = results.ChangeShut; c.After != shut {
			c.Change = results.ChangeGone
		}
	}
	if c.Change != results.ChangeUnknown {
		c.NotAfter = new(moment(at))
	}
	r.Changes = append(r.Changes, c)
}

// shut is the state of a port that is not open, and more is not known.
const shut = "shut"

// unseen is the state of a port that was asked while evidence held and has no record.
func (s *Scan) unseen() string {
	if s.Show&results.Closed != 0 {
		return results.Filtered.String() // if it were closed it would have one
	}
	return shut
}

// Service is what the server's first bytes show of an open port, "" where they show nothing: the protocol, and of SSH the version.
func Service(p *results.Port) string {
	name := p.Detected()
	if name != "" {
		name += banner(p)
	}
	return name
}

// banner is the first line that an SSH server sends, which names its version; of other protocols it may differ with every
// connection.
func banner(p *results.Port) string {
	line, _, _ := bytes.Cut(p.Banner, []byte("\r"))
	line, _, _ = bytes.Cut(line, []byte("\n"))
	if p.Detected() != "ssh" || len(line) == 0 {
		return ""
	}
	return " " + string(line)
}
