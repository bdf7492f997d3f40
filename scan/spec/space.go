package spec

import (
	"net/netip"

	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// Space is what a scan probes, in its order of sending. Its methods do not allocate, and may be called by several goroutines.
type Space struct {
	space *target.Space
	order *permute.Permutation
}

// NewSpace is that of a scan with a seed.
func NewSpace(space *target.Space, seed uint64) (*Space, error) {
	order, err := permute.New(space.Len(), seed)
	if err != nil {
		return nil, err
	}
	return &Space{space, order}, nil
}

// WithSeed is the same scan with another seed. Both share what they probe.
func (s *Space) WithSeed(seed uint64) (*Space, error) { return NewSpace(s.space, seed) }

// Position is where a probe stands; false where the scan has no such probe.
func (s *Space) Position(addr netip.Addr, port uint16) (uint64, bool) {
	i, ok := s.space.Index(addr, port)
	if !ok {
		return 0, false
	}
	return s.order.Position(i), true
}

// At is the probe at a position, the inverse of Position. It panics where the position is not below Len.
func (s *Space) At(position uint64) (netip.Addr, uint16) { return s.space.At(s.order.Index(position)) }

// Len is the number of probes.
func (s *Space) Len() uint64 { return s.space.Len() }

// Unordered is what the scan probes, whatever the order.
func (s *Space) Unordered() *target.Space { return s.space }
