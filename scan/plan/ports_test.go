package plan

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"synoptic/rawsock"
)

// hostWith is a host with an ephemeral range, ports that are reserved and ports that are in use.
func hostWith(low, high int, reserved, used string) hostPorts {
	r, u := portsIn(reserved), portsIn(used)
	return hostPorts{low, high, r, func(p PortRange) (io.Closer, error) {
		for port := int(p.Min); port <= int(p.Max); port++ {
			if u.Has(uint16(port)) {
				return nil, &rawsock.PortInUseError{Port: uint16(port)}
			}
		}
		return io.NopCloser(nil), nil
	}}
}

// portsIn reads "80-90 443-443".
func portsIn(words string) *rawsock.PortSet {
	s := &rawsock.PortSet{}
	for _, w := range strings.Fields(words) {
		var first, last uint16
		if _, err := fmt.Sscanf(w, "%d-%d", &first, &last); err != nil {
			panic(err)
		}
		s.Add(first, last)
	}
	return s
}

// Source ports keep out of what the host gives to its own connections while anything else is left, and what the hint says
// is then accepted. Where nothing is left, they are ports that are not in use, and a warning says so.
func TestSourcePorts(t *testing.T) {
	for _, c := range []struct {
		asked, low, high int
		reserved, used   string
		first            uint16 // 0: refused
		warning          string // words of it; then the ports are to be held
	}{
		{asked: 0, low: 32768, high: 60999, first: 61000},
		{asked: 0, low: 32768, high: 65535, first: 32752},
		{asked: 0, low: 1024, high: 60999, first: 61000},
		{asked: 61000, low: 32768, high: 60999, first: 61000},
		{asked: 60999, low: 32768, high: 60999},
		{asked: 32752, low: 32768, high: 60999, first: 32752},
		{asked: 32753, low: 32768, high: 60999},
		{asked: 40000, low: 32768, high: 60999},
		{asked: 65520, low: 32768, high: 60999, first: 65520},
		{asked: 65521, low: 32768, high: 60999},
		{asked: 65520, low: 32768, high: 65535},
		{asked: 20000, low: 1024, high: 60999},
		// Nothing is left outside.
		{asked: 0, low: 1024, high: 65535, first: 65520, warning: "none of them is in use"},
		{asked: 0, low: 1039, high: 65520, first: 65520, warning: "none of them is in use"},
		{asked: 0, low: 1, high: 65535, first: 65520, warning: "none of them is in use"},
		{asked: 20000, low: 1024, high: 65535, first: 20000, warning: "none of them is in use"},
		{asked: 0, low: 1024, high: 65535, used: "65535-65535", first: 65519, warning: "none of them is in use"},
		{asked: 0, low: 1024, high: 65535, used: "65520-65520", first: 65504, warning: "none of them is in use"},
		{asked: 0, low: 1024, high: 65535, used: "40000-65535", first: 39984, warning: "none of them is in use"},
		{asked: 0, low: 1024, high: 65535, used: "1056-65535", first: 1040, warning: "none of them is in use"},
		{asked: 0, low: 1024, high: 65535, used: "1024-65535", first: 65520, warning: "some of them are in use"},
		{asked: 20000, low: 1024, high: 65535, used: "20015-20015", first: 20000, warning: "some of them are in use"},
		{asked: 20000, low: 1024, high: 65535, used: "20016-20016", first: 20000, warning: "none of them is in use"},
		// What is reserved in it is as good as outside.
		{asked: 0, low: 1024, high: 65535, reserved: "61000-61015", first: 61000},
		{asked: 0, low: 1024, high: 65535, reserved: "30000-32767", first: 32752},
		{asked: 0, low: 1024, high: 65535, reserved: "61000-61015 5000-5100", first: 61000},
		{asked: 0, low: 1024, high: 65535, reserved: "61000-61014", first: 65520, warning: "none of them is in use"},
		{asked: 0, low: 1024, high: 65535, reserved: "61000-61007 61008-61015", first: 61000},
		{asked: 0, low: 1024, high: 65529, reserved: "65520-65529", first: 65520}, // half reserved, half outside
		{asked: 0, low: 32768, high: 60999, reserved: "40000-40015", first: 61000},
		{asked: 40000, low: 32768, high: 60999, reserved: "40000-40015", first: 40000},
		{asked: 40001, low: 32768, high: 60999, reserved: "40000-40015"},
		{asked: 20000, low: 1024, high: 65535, reserved: "61000-61015"},
	} {
		got, held, warning, err := sourcePorts(c.asked, hostWith(c.low, c.high, c.reserved, c.used))
		if c.first != 0 {
			if want := (PortRange{c.first, c.first + AttemptPorts - 1}); err != nil || got != want {
				t.Errorf("%+v: %v, %v", c, got, err)
			}
			if !strings.Contains(warning, c.warning) || (warning == "") != (c.warning == "") || held != (c.warning != "") {
				t.Errorf("%+v: held %v, warning %q", c, held, warning)
			}
			continue
		}
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Field() != "SourcePort" {
			t.Errorf("%+v: %v, %v", c, got, err)
			continue
		}
		var advised int
		if digits := strings.IndexAny(refused.Hint(), "0123456789"); digits >= 0 {
			fmt.Sscan(refused.Hint()[digits:], &advised)
			if _, _, _, err := sourcePorts(advised, hostWith(c.low, c.high, c.reserved, c.used)); err != nil {
				t.Errorf("%+v: the hint says %q, and then %v", c, refused.Hint(), err)
			}
		}
	}
}

// Where nobody can say whether ports are in use, a scan goes on all the same.
func TestSourcePortsUnknown(t *testing.T) {
	h := hostWith(1024, 65535, "", "")
	h.hold = func(PortRange) (io.Closer, error) { return nil, errors.New("no sockets left") }
	got, held, warning, err := sourcePorts(0, h)
	if err != nil || !held || got != from(lastFirst) || !strings.Contains(warning, "some of them are in use") {
		t.Errorf("%v, %v, %q, %v", got, held, warning, err)
	}
}
