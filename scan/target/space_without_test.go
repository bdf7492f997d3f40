package target

import (
	"net/netip"
	"testing"
)

func TestSpaceWithout(t *testing.T) {
	got, err := Load(t.Context(), Config{Targets: []string{"10.0.0.0/30", "10.0.0.3:8443", "10.0.1.1:8443"}, Ports: mustPorts(t, "22,80")})
	if err != nil {
		t.Fatal(err)
	}
	gone := netip.MustParseAddr("10.0.0.3")
	s, err := got.Space.Without([]netip.Addr{gone})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 3*2+1 || got.Space.Len() != 4*2+2 {
		t.Errorf("%d of %d probes left, want 7 of 10", s.Len(), got.Space.Len())
	}
	for i := range s.Len() {
		if a, port := s.At(i); a == gone {
			t.Errorf("index %d is still %v:%d", i, a, port)
		}
	}
	if _, err := s.Without([]netip.Addr{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.1")}); err == nil {
		t.Error("a space without probes is no error")
	}
}
