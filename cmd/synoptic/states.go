package main

import (
	"fmt"
	"strings"

	"synoptic/results"
)

// everyState is what records can say of a port.
const everyState = results.Open | results.Closed | results.Filtered | results.Unknown

// parseShow understands --show. Who wants the silent ones has to know of those of which silence says nothing.
func parseShow(lists []string) (show results.State, err error) {
	if len(lists) == 0 {
		return results.Open, nil
	}
	for w := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		state, err := oneOf("states", w, stateNames)
		if err != nil {
			return 0, fmt.Errorf("--show: %w", err)
		}
		switch state {
		case "open":
			show |= results.Open
		case "closed":
			show |= results.Closed
		case "filtered":
			show |= results.Filtered | results.Unknown
		case "unknown":
			show |= results.Unknown
		case "all":
			show |= everyState
		}
	}
	return show, nil
}
