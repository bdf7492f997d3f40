package screen

import "synoptic/results"

// The colours, ECMA-48 SGR. There are three: what can be relied on, what calls for caution, and the background.
const (
	green = "\x1b[32m" // open
	amber = "\x1b[33m" // open on a host that is not to be believed; unknown
	faint = "\x1b[2m"  // closed, filtered, unreachable
	unset = "\x1b[0m"
)

// colourOf is that of a state.
func colourOf(p *results.Port) string {
	switch state := p.Reason.State(); {
	case state == results.Unknown, state == results.Open && (p.Suspect != 0 || p.Verified == results.VerifyFalse):
		return amber
	case state == results.Open:
		return green
	}
	return faint
}
