package screen

import (
	"testing"

	"synoptic/results"
)

func TestNotVerifiedWords(t *testing.T) {
	for _, c := range []struct {
		left results.NotVerified
		want string
	}{
		{results.NotVerified{}, ""},
		{results.NotVerified{Suspect: 1}, "1 open port not verified: 1 on hosts that open implausibly many"},
		{results.NotVerified{HostLimit: 12288}, "12,288 open ports not verified: 12,288 beyond what is verified of one host"},
		{results.NotVerified{Stopped: 2, Suspect: 1000}, "1,002 open ports not verified: 1,000 on hosts that open implausibly many, 2 for the scan was stopped"},
	} {
		end := &results.ScanEnd{NotVerified: c.left.Total()}
		if c.left.Total() > 0 {
			end.NotVerifiedWhy = &c.left
		}
		if got := notVerifiedWords(end); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
