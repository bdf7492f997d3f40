package engine

import (
	"context"
	"fmt"
	"net"

	"synoptic/rawsock"
)

// What a session does for its source ports and address beside sending from them.

// holdSource keeps source ports from the host's connections where they could get them, and answers for a source address
// that nobody has.
func (s *Session) holdSource(ctx context.Context) error {
	if s.plan.HoldPorts {
		// Where a port was taken since the plan was made, the plan's warning still holds.
		s.held, _ = s.plan.Asked.Host.HoldPorts(s.plan.SourcePorts)
	}
	if s.plan.Routes == nil {
		return nil
	}
	answering, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.unanswer = stop
	on := map[int]bool{}
	for i := range s.plan.Routes.Paths {
		p := &s.plan.Routes.Paths[i]
		if !p.Answers || on[p.Link.Index] {
			continue
		}
		on[p.Link.Index] = true
		mac, owned, err := s.medium.Owner(ctx, p.Link, p.Src)
		if err == nil && owned {
			err = rawsock.WithHint(fmt.Errorf("source address %v is in use on %s, by %v", p.Src, p.Link.Name, net.HardwareAddr(mac[:])),
				"Source", "choose an address that nobody has, or one of this host")
		}
		if err == nil {
			err = s.medium.Answer(answering, p.Link, p.Src)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// releaseSource ends it. It may be called again.
func (s *Session) releaseSource() {
	if s.unanswer != nil {
		s.unanswer()
	}
	if s.held != nil {
		s.held.Close() // nothing is lost by a failing close
		s.held = nil
	}
}

// LinkDrops is how many frames the interfaces of the scan have lost since the session was opened, before any receiver
// could see them.
func (s *Session) LinkDrops() (n uint64) {
	first := s.dropsBefore.Load()
	if first == nil {
		return 0
	}
	for index, now := range s.linkDrops() {
		if before, ok := (*first)[index]; ok && now > before {
			n += now - before
		}
	}
	return n
}

// linkDrops is what each link has counted, as far as it can be read.
func (s *Session) linkDrops() map[int]uint64 {
	all := map[int]uint64{}
	if s.plan.Routes == nil {
		return all
	}
	for i := range s.plan.Routes.Paths {
		link := &s.plan.Routes.Paths[i].Link
		if _, counted := all[link.Index]; counted {
			continue
		}
		if n, err := s.medium.RxDrops(link); err == nil {
			all[link.Index] = n
		}
	}
	return all
}
