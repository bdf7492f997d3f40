package target

import (
	"net/netip"
	"slices"
	"strings"
)

// item is one target of a line, with its text.
type item struct {
	entry
	text string
}

// addLine hands on the targets of a line without its comment, and tells how many they are. What could be columns of a
// table is refused: nobody can tell which of them is meant.
func (l *loader) addLine(line string, p place, add func(entry, string, place) error) (int, error) {
	words, err := splitLine(line)
	if err != nil {
		return 0, p.at(err)
	}
	items := l.items[:0]
	for _, word := range words {
		err := parseWord(word, p, func(e entry, text string, _ place) error {
			items = append(items, item{e, text})
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	l.items = items
	if err := columns(items, len(words) == 2 && !strings.Contains(line, ",")); err != nil {
		return 0, p.at(err)
	}
	for _, i := range items {
		if err := add(i.entry, i.text, p); err != nil {
			return 0, err
		}
	}
	return len(items), nil
}

// splitLine splits at white space. A dash with space on both sides and an address on both is that of a range; one with
// space on one side could be that of an octet range with an open end, too.
func splitLine(line string) ([]string, error) { return joinRanges(strings.Fields(line)) }

func joinRanges(words []string) ([]string, error) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-" && i > 0 && i+1 < len(words) && isAddr(words[i-1]) && isAddr(words[i+1]):
			words = append(append(words[:i-1:i-1], words[i-1]+"-"+words[i+1]), words[i+2:]...)
			i--
		case len(w) > 1 && strings.HasSuffix(w, "-") && i+1 < len(words):
			return nil, loose(strings.TrimSuffix(w, "-"), words[i+1], w)
		case len(w) > 1 && w[0] == '-' && i > 0:
			return nil, loose(words[i-1], strings.TrimPrefix(w, "-"), w)
		}
	}
	return words, nil
}

func loose(first, last, text string) error {
	hint := targetHint
	if isAddr(first) && isAddr(last) {
		hint = "write " + first + "-" + last + " for the range, or each target on its own line"
	}
	return wrong(text, hint, "a dash next to a space")
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

const oneALine = "write one target a line; after it, # begins a comment"

// columns refuses what could be a table: read as a list it would mean something else. pair says that white
// space has made two words of it, and no comma a list.
func columns(items []item, pair bool) error {
	names, bare := 0, ""
	for _, i := range items {
		if addr, octets, ok := cutAddress(i.text); ok {
			first, _, _ := strings.Cut(octets, ",")
			return wrong(i.text, "write "+addr+":"+first+" for the port, or each address on its own line", "this could be a port or a second address")
		}
		if i.host == "" {
			continue
		}
		names++
		if !strings.Contains(i.host, ".") && bare == "" {
			bare = i.text
		}
	}
	switch {
	case len(items) < 2:
		return nil
	case names > 0 && names < len(items):
		return wrong(items[0].text, oneALine, "addresses and names on one line: columns are not read")
	case names > 1 && bare != "":
		return wrong(bare, oneALine, "several names without a dot on one line: columns are not read")
	case len(items) == 2 && pair && names == 0 && apart(items[0].entry, items[1].entry):
		return wrong(items[0].text, "write "+items[0].text+"-"+items[1].text+" for the range, or each address on its own line",
			"two addresses on one line could be a range")
	}
	return nil
}

// cutAddress splits "10.0.0.1,22" at the first comma, where nothing but numbers follows: a row of a table has its port
// there, and an octet pattern more octets.
func cutAddress(text string) (addr, numbers string, ok bool) {
	addr, numbers, ok = strings.Cut(text, ",")
	if !ok || numbers == "" || strings.Trim(numbers, "0123456789,") != "" {
		return "", "", false
	}
	_, ok = parseDotted(addr)
	return addr, numbers, ok
}

// apart reports whether two entries are single addresses that a range between them would not be: with others inside.
func apart(a, b entry) bool {
	single := func(e entry) bool { return e.octets == nil && e.port == 0 && e.addrs.From() == e.addrs.To() }
	if !single(a) || !single(b) {
		return false
	}
	x, y := a.addrs.From(), b.addrs.From()
	return x != y && x.Next() != y && y.Next() != x
}

// given reads the words of Targets. "-" is standard input, unless it stands between two addresses.
func (l *loader) given() error {
	words, err := joinRanges(slices.Clone(l.Targets))
	if err != nil {
		return err
	}
	var found mistakes
	for _, word := range words {
		if word == "-" {
			err = l.readTargets("-", "Targets")
		} else {
			err = l.readWord(word, place{}, l.addTarget)
		}
		if err := found.take(err); err != nil {
			return err
		}
	}
	return found.err()
}
