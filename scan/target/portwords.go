package target

import (
	"slices"
	"strings"
)

// protocols are nmap's qualifiers of ports; those behind one hold until the next.
var protocols = map[string]string{"U:": "UDP", "S:": "SCTP", "P:": "IP protocols"}

// onlyTCP takes nmap's T: and a /tcp from an element of a list of ports, and refuses other protocols.
func onlyTCP(element string) (string, error) {
	lower := strings.ToLower(element)
	if port, ok := strings.CutSuffix(lower, "/tcp"); ok {
		return strings.TrimSpace(port), nil
	}
	if strings.HasSuffix(lower, "/udp") || strings.HasSuffix(lower, "/sctp") {
		return "", wrongPort(element, "leave it out", "only TCP ports are scanned")
	}
	if len(element) < 2 || element[1] != ':' {
		return element, nil
	}
	qualifier := strings.ToUpper(element[:2])
	if other := protocols[qualifier]; other != "" {
		return "", wrongPort(element, "leave out "+other+" and what follows it, up to a T:", "only TCP ports are scanned, not %s", other)
	}
	if qualifier == "T:" {
		return strings.TrimSpace(element[2:]), nil
	}
	return element, nil
}

// everyPort are words that other scanners, or people, have for all ports.
var everyPort = []string{"all", "full", "any", "every", "*", "all-ports", "max"}

// unknownName is the error of a word that is no service.
func unknownName(element string) error {
	switch {
	case slices.Contains(everyPort, strings.ToLower(element)):
		return wrongPort(element, `for all ports write Ports "-"`, "no TCP service of this name")
	case strings.Trim(element, "0123456789") != "" && rangeMeant(element) != "":
		return wrongPort(element, "write "+rangeMeant(element), "neither a port, a range nor a service name")
	case strings.ContainsAny(element, " \t;|/"):
		return wrongPort(element, separatedHint(element), "neither a port, a range nor a service name")
	}
	return wrongPort(element, nameHint(element), "no TCP service of this name")
}

// separatedHint proposes a list whose separators are no commas as one whose are.
func separatedHint(element string) string {
	words := strings.FieldsFunc(element, func(c rune) bool { return strings.ContainsRune(" \t;|/", c) })
	if list := strings.Join(words, ","); len(words) > 1 {
		if _, err := ParsePorts(list); err == nil {
			return "separate with commas: " + list
		}
	}
	return portsHint
}

// rangeMeant is the range of ports that an element writes in another way: 80..90, 80:90, 80 to 90, 80~90.
func rangeMeant(element string) string {
	written := strings.NewReplacer("...", "-", "..", "-", ":", "-", " to ", "-", "~", "-", "–", "-", "—", "-").Replace(element)
	if written == element || strings.Trim(written, "0123456789-") != "" {
		return ""
	}
	if _, err := ParsePorts(written); err != nil {
		return ""
	}
	return written
}
