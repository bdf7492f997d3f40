package screen

import (
	"testing"

	"synoptic/results"
)

func TestHeldWords(t *testing.T) {
	for want, e := range map[string]results.Evidence{
		"evidence held: what answered did so to the end":                                                                                                {},
		"evidence held: 1,204 of 1,210 probes to what had answered were answered again":                                                                 {Asked: 1210, Answered: 1204},
		"evidence held: 28 of 40 probes to what had answered were answered again; 1 outage, 2.1s in all, after which 30,112 positions were asked again": {Asked: 40, Answered: 28, Outages: 1, Without: 2.1, Again: 30112},
	} {
		if got := heldWords(&e); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
