package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Source ports keep out of the ephemeral range while anything is left outside, and what the hint says
// is then accepted.
func TestSourcePorts(t *testing.T) {
	for _, c := range []struct {
		asked, low, high int
		first            uint16 // 0: refused
	}{
		{0, 32768, 60999, 61000}, {0, 32768, 65535, 32752}, {0, 1024, 60999, 61000}, {0, 1024, 65535, 0}, {0, 1039, 65520, 0},
		{61000, 32768, 60999, 61000}, {60999, 32768, 60999, 0}, {32752, 32768, 60999, 32752}, {32753, 32768, 60999, 0}, {40000, 32768, 60999, 0},
		{65520, 32768, 60999, 65520}, {65521, 32768, 60999, 0}, {65520, 32768, 65535, 0}, {20000, 1024, 60999, 0},
		{20000, 1024, 65535, 20000}, // no port is outside: the user must know
	} {
		got, err := sourcePorts(c.asked, c.low, c.high)
		if c.first != 0 {
			if want := (PortRange{c.first, c.first + AttemptPorts - 1}); err != nil || got != want {
				t.Errorf("%+v: %v, %v", c, got, err)
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
			if _, err := sourcePorts(advised, c.low, c.high); err != nil {
				t.Errorf("%+v: the hint says %q, and then %v", c, refused.Hint(), err)
			}
		}
	}
}
