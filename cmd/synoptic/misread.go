package main

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"synoptic/results/sink/dest"
)

// What a word looks like, whatever stands before it.
var (
	likePorts   = regexp.MustCompile(`^[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*$`)
	likeGrouped = regexp.MustCompile(`^[0-9]{1,3}(,[0-9]{3})+$`)
	likeUnit    = regexp.MustCompile(`^([kKmMgG]|[kKmMgG]?(pps|bps|bit|bits|bit/s))$`)
	likeNumber  = regexp.MustCompile(`^[0-9.]+$`)
	likeFile    = regexp.MustCompile(`(?i)^\.{0,2}/|^~|\.(txt|lst|list|csv|json|jsonl|xml|gz|zst|ips|hosts|conf|cfg|nmap|gnmap)$`)
)

func likeAddress(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// value reads the value of a flag of ours; words is how it stands in the line.
func (r *reading) value(f *pflag.Flag, value string, words ...string) {
	if ascii := hyphens(value); ascii != value && listOf[f.Name] {
		r.fault(fault{message: fmt.Sprintf("%q has %s in it, not a hyphen", dest.Redact(value), dashName(value))})
		words[len(words)-1] = strings.Replace(words[len(words)-1], value, ascii, 1)
		value = ascii
	}
	if f.Name == "log-format" {
		r.logs = value
	}
	message, instead := misread(f.Name, value)
	switch {
	case message != "" && instead == nil:
		r.fault(fault{message: message, hint: "give the name of a file that holds it"})
	case message != "":
		r.fault(fault{message: message})
		words = instead
	}
	r.line = append(r.line, words...)
	if f.Name == "exclude" {
		r.behind = len(r.line)
	}
}

// listOf are the flags whose values have no use for a dash that is not a hyphen.
var listOf = map[string]bool{"ports": true, "exclude-ports": true, "exclude": true, "beacon": true, "rate": true, "bandwidth": true, "rate-per-host": true, "rate-per-prefix": true, "source-ip": true, "shard": true}

// misread tells a value that is meant for another flag, and what to write instead.
func misread(flag, value string) (message string, instead []string) {
	says := func(what string, write ...string) (string, []string) {
		return fmt.Sprintf("--%s: %s %s: write %s", flag, dest.Redact(value), what, shellLine(recordable(write))), write
	}
	switch flag {
	case "targets-file":
		if value == "-" || isFile(value) {
			return "", nil
		}
		if _, err := net.InterfaceByName(value); err == nil {
			return says("is an interface, not a file", "-e", value)
		}
		if likeAddress(value) {
			return says("is an address, not a file, and targets are given without a flag", value)
		}
	case "exclude":
		if likeFile.MatchString(value) && isFile(value) {
			return says("is a file", "--exclude-file", value)
		}
	case "exclude-file":
		if likeAddress(value) && !isFile(value) {
			return says("is no file", "--exclude", value)
		}
	case "scope":
		if likeAddress(value) && !isFile(value) {
			return "--scope: " + value + " is no file", nil
		}
	case "top-ports", "top":
		if slices.Contains([]string{"all", "full", "any", "max", "-", "*"}, strings.ToLower(value)) {
			return says("is no number; for all ports", "-p", "-")
		}
	case "rate":
		switch {
		case likeAddress(value):
			return says("is an address, not a rate, and targets are given without a flag", value)
		case likePorts.MatchString(value) && strings.ContainsAny(value, "-,") && !likeGrouped.MatchString(value):
			return says("is not a rate; for ports", "-p", value)
		}
	case "output":
		if why, write := misnamed(value); why != "" {
			return says(why, "-o", write)
		}
	}
	return "", nil
}

// positional reads a word that is no flag: for scan a target.
func (r *reading) positional(word string) {
	r.targets = append(r.targets, word)
	if r.cmd.Name() != "scan" {
		r.line = append(r.line, word)
		return
	}
	last := len(r.line) - 1
	switch ascii := hyphens(word); {
	case ascii != word:
		r.fault(fault{message: fmt.Sprintf("%q has %s in it", dest.Redact(word), dashName(word))})
		r.line = append(r.line, ascii)
	case likePorts.MatchString(word):
		r.fault(fault{message: word + " is not a target", hint: "did you mean -p " + word + "?"})
		r.line = append(r.line, "-p", word)
	case likeUnit.MatchString(word) && last >= 0 && likeNumber.MatchString(afterEquals(r.line[last])):
		r.fault(fault{message: word + " is not a target: a number and its unit are one word"})
		r.line[last] += strings.TrimRight(word[:1], "bp")
	case likeFile.MatchString(word) && isFile(word):
		r.fault(fault{message: word + " is a file, not a target"})
		r.line = append(r.line, "-i", word)
	default:
		if sub, _, err := r.cmd.Root().Find([]string{word}); err == nil && sub != r.cmd.Root() && sub.Runnable() && len(r.targets) == 1 && word != "help" {
			r.fault(fault{message: word + " is a command, not a target", hint: "write: synoptic " + word + "; for a host of that name " + word + "."})
		}
		if r.behind > 0 {
			r.loose = append(r.loose, loose{r.behind - 1, len(r.line)})
		}
		r.line = append(r.line, word)
	}
}

// meantExcluded refuses targets behind the value of --exclude that other targets have in them: what is to be left out would
// be probed.
func (r *reading) meantExcluded() {
	within := map[string]string{} // by the target, which other one has it
	for _, l := range r.loose {
		word := r.line[l.word]
		for _, other := range r.targets {
			if other != word && holds(other, word) {
				within[word] = other
			}
		}
	}
	for _, l := range r.loose {
		if word := r.line[l.word]; within[word] != "" {
			r.fault(fault{message: fmt.Sprintf("%s behind --exclude is one more target, and %s has it already: separate exclusions by commas", word, within[word])})
			r.line[l.value] += "," + word
		}
	}
	for _, l := range slices.Backward(r.loose) {
		if within[r.line[l.word]] != "" {
			r.line = slices.Delete(r.line, l.word, l.word+1)
		}
	}
}

// holds tells whether a prefix that is a target has another target in it.
func holds(outer, inner string) bool {
	p, err := netip.ParsePrefix(outer)
	if err != nil {
		return false
	}
	if a, err := netip.ParseAddr(inner); err == nil {
		return p.Contains(a)
	}
	q, err := netip.ParsePrefix(inner)
	return err == nil && p.Bits() < q.Bits() && p.Contains(q.Addr())
}

func afterEquals(word string) string { return word[strings.LastIndexByte(word, '=')+1:] }

// lookalikes are characters that web pages, word processors and chats put in the place of those that are typed.
var lookalikes = map[rune]struct{ name, ascii string }{
	'\u2010': {"a hyphen of Unicode (U+2010)", "-"}, '\u2011': {"a non-breaking hyphen (U+2011)", "-"},
	'\u2012': {"a figure dash (U+2012)", "-"}, '\u2013': {"an en dash (U+2013)", "-"}, '\u2014': {"an em dash (U+2014)", "-"},
	'\u2015': {"a horizontal bar (U+2015)", "-"}, '\u2212': {"a minus sign (U+2212)", "-"}, '\u00ad': {"a soft hyphen (U+00AD)", ""},
	'\ufe58': {"a small em dash (U+FE58)", "-"}, '\ufe63': {"a small hyphen (U+FE63)", "-"}, '\uff0d': {"a full-width hyphen (U+FF0D)", "-"},
	'\u00a0': {"a non-breaking space (U+00A0)", ""}, '\u200b': {"an invisible space (U+200B)", ""}, '\u200c': {"an invisible character (U+200C)", ""},
	'\u200d': {"an invisible character (U+200D)", ""}, '\u2060': {"an invisible character (U+2060)", ""}, '\ufeff': {"a byte order mark (U+FEFF)", ""},
	'\u200e': {"an invisible mark (U+200E)", ""}, '\u200f': {"an invisible mark (U+200F)", ""}, '\u202f': {"a narrow space (U+202F)", ""},
	'\u201c': {"a typographic quote (U+201C)", ""}, '\u201d': {"a typographic quote (U+201D)", ""},
	'\u2018': {"a typographic quote (U+2018)", ""}, '\u2019': {"a typographic quote (U+2019)", ""},
	'\uff0c': {"a full-width comma (U+FF0C)", ","}, '\uff0e': {"a full-width stop (U+FF0E)", "."}, '\uff1a': {"a full-width colon (U+FF1A)", ":"},
}

// hyphens writes a word with the characters that are meant where it has lookalikes.
func hyphens(word string) string {
	var b strings.Builder
	for _, c := range word {
		if l, ok := lookalikes[c]; ok {
			b.WriteString(l.ascii)
		} else {
			b.WriteRune(c)
		}
	}
	if !utf8.ValidString(word) {
		return word
	}
	return b.String()
}

// dashName says which is the first of them.
func dashName(word string) string {
	for _, c := range word {
		if l, ok := lookalikes[c]; ok {
			return l.name
		}
	}
	return ""
}

// dashed gives a flag the dashes that it needs: –rate, with the one dash that a web page makes of two, is --rate.
func (r *reading) dashed(word string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if _, foreign := habitOf("--"+name, ""); len(name) > 1 && (r.flag(name) != nil || foreign) {
		return "--" + strings.TrimLeft(word, "-")
	}
	return word
}
