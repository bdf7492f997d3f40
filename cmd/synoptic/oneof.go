package main

import (
	"slices"
	"strings"

	"synoptic/scan/plan"
	"synoptic/scan/probe"
)

// The words that flags take.
var (
	backendNames = []string{plan.BackendAuto, plan.BackendAFPacket, plan.BackendXDP, plan.BackendEBPF, plan.BackendConnect}
	profileNames = []string{probe.ProfileMSS.String(), probe.ProfileLinux.String(), probe.ProfileWindows.String(), probe.ProfileNone.String()}
	stateNames   = []string{"open", "closed", "filtered", "unknown", "all"}
	logNames     = []string{string(logText), string(logJSON)}
)

// oneOf is the name that a word stands for, in either case; kind is what the word is, in the plural.
func oneOf(kind, word string, names []string) (string, error) {
	if lower := strings.ToLower(strings.TrimSpace(word)); slices.Contains(names, lower) {
		return lower, nil
	}
	hint := "the " + kind + " are " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	if meant := nearest(word, names); meant != "" {
		hint = "did you mean " + meant + "? " + hint
	}
	return "", usage(hint, "unknown %s %q", strings.TrimSuffix(kind, "s"), word)
}
