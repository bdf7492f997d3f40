package target

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Beacons are found by address and by name, each once; of a name, those of its addresses that are targets.
func TestBeacons(t *testing.T) {
	c := Config{
		Targets: []string{"10.0.0.0/24", "www", "2001:db8::7"}, Exclude: []string{"10.0.0.9"}, Ports: mustPorts(t, "80"),
		Beacons: []string{"10.0.0.7:443", "[2001:db8::7]:22", "www:443", "10.0.0.7:443", "mixed:80,10.0.0.7:22"},
		Resolve: names{"www": "10.1.0.1 10.1.0.2", "mixed": "10.0.0.8 10.0.0.9 10.9.9.9"}.resolve,
	}
	got, err := Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	const want = "[10.0.0.7:22 10.0.0.7:443 10.0.0.8:80 10.1.0.1:443 10.1.0.2:443 [2001:db8::7]:22]"
	if fmt.Sprint(got.Beacons) != want {
		t.Errorf("got  %v\nwant %s", got.Beacons, want)
	}
	if _, names := got.Names.Of(netip.MustParseAddr("10.0.0.8"), 80); got.Space.Len() != 255+2+1 || names != nil {
		t.Error("a beacon has changed what is asked, or what targets are called")
	}
}

// What is no target is no beacon either, and the error says why, of which word, and what to do.
func TestBeaconErrors(t *testing.T) {
	for _, c := range []struct{ beacon, says, hint string }{
		{"10.0.0.7", `Beacons: "10.0.0.7": a beacon needs a port`, "as in 10.0.0.1:443"},
		{"www", `Beacons: "www": a beacon needs a port`, "as in 10.0.0.1:443"},
		{"10.0.0.0/24:80", `Beacons: "10.0.0.0/24:80": several addresses cannot be one beacon`, "as in"},
		{"10.0.0.1-9:80", "several addresses cannot be one beacon", "as in"},
		{"10.0.0.7:0", "port 0 cannot be scanned", "one port"},
		{"10.0.0.7:https", `"https" is not a port number`, "one port"},
		{"10.0.0.9:80", `Beacons: "10.0.0.9:80": 10.0.0.9 is excluded`, "choose a beacon that is not excluded"},
		{"10.2.0.1:80", `Beacons: "10.2.0.1:80": 10.2.0.1 is not among the targets`, "choose a beacon among the targets, or add its address to them"},
		{"11.0.0.1:80", `Beacons: "11.0.0.1:80": 11.0.0.1 is outside the scope scope`, "choose a beacon among the targets"},
		{"224.0.0.1:80", "224.0.0.1 is not among the targets", "choose a beacon among the targets"},
		{"elsewhere:80", `Beacons: "elsewhere:80": 10.9.9.9 is not among the targets`, "choose a beacon among the targets"},
		{"nowhere:80", `Beacons: "nowhere": cannot resolve`, "check the spelling"},
	} {
		_, err := Load(t.Context(), Config{
			Targets: []string{"10.0.0.0/24"}, Exclude: []string{"10.0.0.9"}, Ports: mustPorts(t, "80"), Beacons: []string{c.beacon}, ScopeFiles: []string{"scope"},
			Open: files{"scope": "10.0.0.0/8"}.open, Resolve: names{"www": "10.0.0.1", "elsewhere": "10.9.9.9"}.resolve,
		})
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Error(), c.says) || !strings.Contains(e.Hint(), c.hint) || e.Field() != "Beacons" {
			t.Errorf("%s: %v, want %q with the hint %q", c.beacon, err, c.says, c.hint)
		}
	}
}
