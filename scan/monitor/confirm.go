package monitor

import (
	"net/netip"

	"synoptic/results"
)

// Reason is why an endpoint is asked.
type Reason uint8

// The reasons.
const (
	ReasonTurn      Reason = iota // its turn has come
	ReasonOpened                  // it has answered, and was not known to be open: the change is to be confirmed
	ReasonEnded                   // it was open and has not answered so: likewise
	ReasonRequested               // somebody wants to know, or something was noticed
	ReasonUnknown                 // the last probe counts as not sent
	numReasons
)

var reasonNames = [numReasons]string{"turn", "opened", "ended", "requested", "unknown"}

// String is the reason in one word.
func (r Reason) String() string { return reasonNames[r] }

// doubt is an endpoint of the confirm queue.
type doubt struct {
	reason  Reason
	step    uint8         // how often it was asked, of ConfirmAttempts for each time of Config.Confirm
	tries   uint8         // how often it has counted as not asked
	tier    Tier          // in which the difference was seen
	asked   uint16        // answers that count
	state   results.State // the last of these
	first   int64         // when the difference was seen
	before  int64         // when it was asked last before that
	due     int64
	counted bool // in Planner.dark
}

// mostDoubts bounds the confirm queue: 100 MB at most, where a million endpoints change in ten minutes. What finds no room keeps its
// state and has its turn again.
const mostDoubts = 1 << 20

// turn is when an index is due.
type turn struct {
	due   int64
	index uint64
}

// turns is a heap by due time and index.
type turns []turn

func (h turns) less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].index < h[j].index
}

func (h *turns) push(t turn) {
	*h = append(*h, t)
	a := *h
	for i := len(a) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.less(i, up) {
			return
		}
		a[i], a[up] = a[up], a[i]
		i = up
	}
}

func (h *turns) pop() turn {
	a := *h
	top, n := a[0], len(a)-1
	a[0] = a[n]
	a = a[:n]
	*h = a
	for i := 0; ; {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < n; k++ {
			if a.less(k, least) {
				least = k
			}
		}
		if least == i {
			return top
		}
		a[i], a[least] = a[least], a[i]
		i = least
	}
}

// darkness is what has gone silent in a /24 (/64) and is not confirmed yet.
type darkness struct {
	hosts     map[netip.Addr]int // endpoints in doubt
	endpoints int
}

const (
	darkHosts = 3 // so many hosts
	darkShare = 5 // and more than one of so many open endpoints
)

// isDark tells whether so much of a network is silent at once that it is rather the way there: then nothing of it is confirmed.
func (p *Planner) isDark(net uint64) bool {
	d := p.dark[net]
	return d != nil && len(d.hosts) >= darkHosts && d.endpoints*darkShare > int(p.openIn[net])
}

// darken counts a silent endpoint, and tells whether it is the first of its host.
func (p *Planner) darken(addr netip.Addr) (first bool) {
	net := network(addr)
	d := p.dark[net]
	if d == nil {
		d = &darkness{hosts: map[netip.Addr]int{}}
		p.dark[net] = d
	}
	d.hosts[addr]++
	d.endpoints++
	return d.hosts[addr] == 1
}

func (p *Planner) lighten(addr netip.Addr) {
	net := network(addr)
	d := p.dark[net]
	if d.endpoints--; d.endpoints == 0 {
		delete(p.dark, net)
		return
	}
	if d.hosts[addr]--; d.hosts[addr] == 0 {
		delete(d.hosts, addr)
	}
}

// doubted puts an endpoint into the confirm queue; false where there is no room.
func (p *Planner) doubted(z *zone, index uint64, d doubt) bool {
	if _, there := p.doubts[index]; !there && len(p.doubts) >= mostDoubts {
		return false
	}
	p.doubts[index] = d
	z.due.push(turn{d.due, index})
	return true
}

// resolve takes an endpoint out of the confirm queue; its turn finds nothing then.
func (p *Planner) resolve(addr netip.Addr, index uint64, d *doubt) {
	if d.counted {
		p.lighten(addr)
	}
	delete(p.doubts, index)
}

// nextStep is when a doubt is asked next, and false when it was asked often enough.
func (p *Planner) nextStep(d *doubt, at int64) (int64, bool) {
	times := p.config.Confirm
	k, attempt := int(d.step)/ConfirmAttempts, int(d.step)%ConfirmAttempts
	if k >= len(times) {
		return at + int64(attemptGap), false
	}
	due := d.first + int64(times[k]) + int64(attempt)*int64(attemptGap)
	return max(due, at+int64(attemptGap)), true
}
