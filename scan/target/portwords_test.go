package target

import (
	"strings"
	"testing"
)

// What other scanners, shells and people write for ports.
func TestPortWords(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		{"T:80", "80"}, {"t:80,443", "80,443"}, {"T:22-25,T:80", "22-25,80"}, {"T: 80", "80"}, {"T:http", "80"}, {"T:-", "1-65535"},
		{"80/tcp", "80"}, {"80/TCP,443/tcp", "80,443"}, {"8000-8002/tcp", "8000-8002"}, {"ssh/tcp", "22"},
	} {
		if got := mustPorts(t, c.spec).String(); got != c.want {
			t.Errorf("%q: %s, want %s", c.spec, got, c.want)
		}
	}
	for _, c := range []struct{ spec, want, hint string }{
		{"U:53", "only TCP ports are scanned, not UDP", "leave out UDP"},
		{"80,U:53", `"U:53": only TCP`, "leave out UDP"},
		{"u:53,80", "only TCP", "leave out UDP"},
		{"S:80", "not SCTP", "leave out SCTP"},
		{"P:6", "not IP protocols", "leave out"},
		{"53/udp", "only TCP", "leave it out"},
		{"all", "no TCP service", `Ports "-"`}, {"ALL", "no TCP service", `Ports "-"`}, {"full", "no TCP service", `Ports "-"`},
		{"*", "no TCP service", `Ports "-"`}, {"80,any", "no TCP service", `Ports "-"`},
		{"22 80", "neither a port", "separate with commas: 22,80"},
		{"22;80;443", "neither a port", "separate with commas: 22,80,443"},
		{"22/80", "neither a port", "separate with commas: 22,80"},
		{"22|80", "neither a port", "separate with commas: 22,80"},
		{"ssh http", "neither a port", "separate with commas: ssh,http"},
		{"1-10 80", "neither a port", "separate with commas: 1-10,80"},
		{"80..90", "neither a port", "write 80-90"}, {"80:90", "neither a port", "write 80-90"}, {"80 to 90", "neither a port", "write 80-90"},
		{"80–90", "neither a port", "write 80-90"}, {"80~90", "neither a port", "write 80-90"},
		{"90..80", "no TCP service", "ports are numbers"},
	} {
		p, err := ParsePorts(c.spec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, error %v, want %q", c.spec, p, err, c.want)
			continue
		}
		if h := hintOf(t, err); !strings.Contains(h, c.hint) {
			t.Errorf("%q: hint %q, want %q", c.spec, h, c.hint)
		}
	}
}

func TestRanking(t *testing.T) {
	list := Ranking()
	if len(list) != NumTopPorts() || list[0] != 80 {
		t.Errorf("%d ports, the first is %d", len(list), list[0])
	}
	list[0] = 1
	if Ranking()[0] != 80 {
		t.Error("the ranking can be changed from outside")
	}
}

func TestServicesLike(t *testing.T) {
	for prefix, want := range map[string]string{"https": "https", "HTTPS": "https", "postgres": "postgresql", "nosuchname": ""} {
		got := ServicesLike(prefix)
		if want == "" && len(got) > 0 || want != "" && (len(got) == 0 || got[0] != want) {
			t.Errorf("%q: %v, want %q first", prefix, got, want)
		}
	}
	if got := ServicesLike("x11"); len(got) != 1 {
		t.Errorf("x11: %v, want it once", got)
	}
}
