package screen

import (
	"strings"

	"synoptic/results"
)

// notVerifiedWords say which open ports --verify has left out and why, or "".
func notVerifiedWords(end *results.ScanEnd) string {
	if end.NotVerifiedWhy == nil {
		return ""
	}
	var why []string
	for _, r := range []struct {
		n      uint64
		reason string
	}{
		{end.NotVerifiedWhy.Suspect, "on hosts that open implausibly many"},
		{end.NotVerifiedWhy.HostLimit, "beyond what is verified of one host"},
		{end.NotVerifiedWhy.Stopped, "for the scan was stopped"},
		{end.NotVerifiedWhy.Excluded, "for their hosts were excluded meanwhile"},
	} {
		if r.n > 0 {
			why = append(why, Grouped(r.n)+" "+r.reason)
		}
	}
	return Count(end.NotVerified, "open port", "open ports") + " not verified: " + strings.Join(why, ", ")
}
