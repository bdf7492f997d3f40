package target

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A space and its exclusions can be walked part by part, each in its normal form.
func TestParts(t *testing.T) {
	got, err := Load(t.Context(), Config{
		Targets: []string{"10.0.0.2/31", "10.0.0.0/31", "10.0.1.1:443", "fd00::1", "[fd00::2]:443", "10.0.1.2:22", "10.0.0.1:80"},
		Exclude: []string{"fd00::8/125", "10.0.0.3", "192.0.2.0/25", "192.0.2.128/25"}, Ports: mustPorts(t, "80"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	addrs, ports := got.Space.Product()
	parts = append(parts, ports.String())
	for r := range addrs.Ranges() {
		parts = append(parts, r.String())
	}
	for port, addrs := range got.Space.Pairs() {
		parts = append(parts, fmt.Sprint("pairs ", port))
		for r := range addrs.Ranges() {
			parts = append(parts, r.String())
		}
	}
	parts = append(parts, "excluded")
	for r := range got.Exclusions() {
		parts = append(parts, r.String())
	}
	want := []string{
		"80", "10.0.0.0-10.0.0.2", "fd00::1-fd00::1", "pairs 22", "10.0.1.2-10.0.1.2", "pairs 443", "10.0.1.1-10.0.1.1", "fd00::2-fd00::2",
		"excluded", "10.0.0.3-10.0.0.3", "192.0.2.0-192.0.2.255", "fd00::8-fd00::f",
	}
	if !slices.Equal(parts, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(parts, " "), strings.Join(want, " "))
	}
	for range got.Space.Pairs() {
		break // walking may end early
	}
	pairs, err := Load(t.Context(), Config{Targets: []string{"10.0.1.1:443"}, Ports: mustPorts(t, "80")})
	if err != nil {
		t.Fatal(err)
	}
	if addrs, ports := pairs.Space.Product(); addrs.Len() != 0 || ports != nil {
		t.Errorf("a product of %d addresses and the ports %v", addrs.Len(), ports)
	}
	for r := range pairs.Exclusions() {
		t.Errorf("%v is excluded", r)
	}
}
