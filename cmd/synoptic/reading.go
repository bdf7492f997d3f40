package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// reading is a command line read as pflag is about to read it, flag by flag, so that what would mean something else
// than its writer had in mind is refused, with the line that was meant: flags of other scanners, misspelt ones, dashes
// that a web page has made of hyphens, values in the wrong place.
type reading struct {
	cmd     *cobra.Command
	line    []string // the command line as it should be; as it is, where there is no fault
	faults  []fault
	same    []string // flags of other scanners for what is always so here: left out of the line
	targets []string
	behind  int     // where the line stood behind the value of --exclude, if that was the last flag; else 0
	loose   []loose // targets behind such a value
	version bool    // nothing but the version is asked for
	help    bool
	logs    string // the value of --log-format
}

// loose is a target behind the value of --exclude, by their places in the line.
type loose struct{ value, word int }

// fault is a word that cannot be meant as it stands.
type fault struct {
	message string
	hint    string // of this fault alone; "" is the whole line
	without bool   // nothing stands for it in the line
	blind   bool   // nobody knows whether what follows is a value, and a secret
}

// read goes through a command line without the name of its command.
func read(cmd *cobra.Command, args []string) *reading {
	r := &reading{cmd: cmd}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch plain := hyphens(word); {
		case word == "--":
			r.line, r.targets = append(append(r.line, word), args...), append(r.targets, args...)
			args = nil
		case strings.HasPrefix(plain, "-") && len(strings.TrimLeft(plain, "-")) < len(strings.TrimLeft(word, "-")):
			r.faults = append(r.faults, fault{message: fmt.Sprintf("%q begins with %s, not with a hyphen", recordable([]string{word})[0], dashName(word))})
			args = append([]string{r.dashed(plain)}, args...)
		case strings.HasPrefix(word, "--"):
			r.behind = 0
			args = r.long(word, args)
		case len(word) > 1 && word[0] == '-':
			r.behind = 0
			args = r.short(word, args)
		default:
			r.positional(word)
		}
	}
	r.meantExcluded()
	if slices.Equal(r.targets, []string{"help"}) || slices.Equal(r.targets, []string{"version"}) {
		r.help, r.version = r.targets[0] == "help", r.targets[0] == "version"
	}
	return r
}

// long reads a flag with two dashes, and gives back what follows it and its value.
func (r *reading) long(word string, rest []string) []string {
	name, value, has := strings.Cut(word, "=")
	f := r.flag(name[2:])
	switch {
	case f == nil && name == "--version":
		r.version = true
		return rest
	case f == nil:
		return r.foreign(name, value, has, rest)
	case f.Name == "help":
		r.help = true
	}
	if !has && f.NoOptDefVal == "" && len(rest) > 0 {
		r.value(f, rest[0], word, rest[0])
		return rest[1:]
	}
	r.value(f, value, word)
	return rest
}

// short reads a word with one dash: a flag of another scanner, a long one whose second dash is missing, or letters of ours.
func (r *reading) short(word string, rest []string) []string {
	name, value, has := strings.Cut(word, "=")
	if len(name) > 2 {
		if h, ok := habitOf(name, follows(value, has, rest)); ok {
			return r.habit(h, name, value, has, rest)
		}
		if h, file := attached(word); file != "" {
			r.fault(fault{message: word + " could be " + h.of + "'s " + word[:3] + ": write " + shellLine(recordable(h.instead(file))) + "; for the file " + recordable([]string{word[2:]})[0] + " write -o " + recordable([]string{word[2:]})[0]})
			r.line = append(r.line, h.instead(file)...)
			return rest
		}
		if strings.HasPrefix(name, "-s") && r.letter('s') == nil && strings.Trim(name[2:], "STUVCAFXNMWRnPL") == "" {
			var apart []string // -sSV is -sS -sV
			for _, scan := range name[2:] {
				apart = append(apart, "-s"+string(scan))
			}
			return append(apart, rest...)
		}
		if strings.HasPrefix(name, "-P") && r.letter('P') == nil {
			r.fault(fault{message: name + " is nmap's: there is no host discovery, every target is probed", without: true})
			return rest
		}
		if r.flag(name[1:]) == nil && looksSecret("-"+name) {
			return r.secret(name, r.misspelt(name[1:]), has, rest)
		}
		if r.flag(name[1:]) != nil {
			r.fault(fault{message: name + " needs two dashes"})
			return append([]string{"-" + word}, rest...)
		}
		if h, ok := habitOf("-"+name, follows(value, has, rest)); ok {
			return r.habit(h, name, value, has, rest)
		}
		if meant := r.misspelt(name[1:]); meant != "" && len(name) > 4 && meant[0] == name[1] && typos(name[1:], meant) < 2 {
			r.fault(fault{message: "unknown flag " + name, hint: "did you mean --" + meant + "?"})
			return append([]string{"--" + meant + word[len(name):]}, rest...)
		}
	}
	if f := r.letter(word[1]); f != nil && f.Name == "help" && len(word) > 2 {
		r.fault(fault{message: "unknown flag " + name, hint: "targets are given without a flag; for help write -h alone", without: true})
		return rest
	}
	for i := 1; i < len(word); i++ {
		f, tail := r.letter(word[i]), word[i+1:]
		before := word[:i]
		switch {
		case f == nil && word[i] == 'V':
			r.version = true
		case f == nil:
			if i > 1 {
				r.line = append(r.line, before)
			}
			return r.foreignLetter("-"+word[i:i+1], tail, rest)
		case f.Name == "help":
			r.help = true
		case f.NoOptDefVal != "":
			// a switch: the next letter is a flag, too
		case tail != "":
			r.value(f, strings.TrimPrefix(tail, "="), word)
			return rest
		case len(rest) > 0:
			r.value(f, rest[0], word, rest[0])
			return rest[1:]
		}
	}
	r.line = append(r.line, word)
	return rest
}

// attached finds another scanner's output flag with the file behind it in the same word, -oXscan.xml or -oG-, which would be a
// file of ours.
func attached(word string) (h habit, file string) {
	if len(word) < 4 || !strings.HasPrefix(word, "-o") || word[3] == '=' {
		return h, ""
	}
	h, ok := habitOf(word[:3], word[3:])
	if !ok {
		return h, ""
	}
	return h, word[3:]
}

// foreignLetter reads a flag of one letter that is none of ours.
func (r *reading) foreignLetter(name, tail string, rest []string) []string {
	value, has := strings.TrimPrefix(tail, "="), tail != ""
	h, ok := habitOf(name, follows(value, has, rest))
	switch {
	case !ok:
		r.fault(fault{message: "unknown flag " + name, hint: "see " + r.cmd.CommandPath() + " --help", without: true, blind: true})
		return rest
	case h.takes:
		return r.habit(h, name, value, has, rest)
	}
	rest = r.habit(h, name, "", false, rest)
	if tail = strings.TrimLeft(tail, name[1:]+"0123456789"); tail != "" { // -vv, -d9
		return append([]string{"-" + tail}, rest...)
	}
	return rest
}

// foreign is a flag that is none of ours: another scanner's, or one that is misspelt.
func (r *reading) foreign(name, value string, has bool, rest []string) []string {
	if h, ok := habitOf(name, follows(value, has, rest)); ok {
		return r.habit(h, name, value, has, rest)
	}
	bare := strings.TrimLeft(name, "-")
	if meant := r.misspelt(bare); looksSecret("--"+bare) || meant != "" && looksSecret(strings.TrimSuffix("--"+meant, "-file")) {
		return r.secret(name, meant, has, rest)
	}
	if meant := r.misspelt(bare); meant != "" && strings.HasPrefix(name, "--") {
		r.fault(fault{message: "unknown flag " + name, hint: "did you mean --" + meant + "?"})
		word := "--" + meant
		if has {
			word += "=" + value
		}
		return append([]string{word}, rest...)
	}
	var theirs []string
	for _, h := range habits {
		for n := range strings.FieldsSeq(h.flags) {
			if strings.HasPrefix(n, "--") {
				theirs = append(theirs, n[2:])
			}
		}
	}
	if meant := nearest(bare, theirs); meant != "" && strings.HasPrefix(name, "--") {
		// What is only near to it is never left out without a word.
		if h, ok := habitOf("--"+meant, follows(value, has, rest)); ok && h.write != always {
			before := len(r.faults)
			rest = r.habit(h, "--"+meant, value, has, rest)
			r.faults[before].message = "unknown flag " + name + ": " + r.faults[before].message
			return rest
		}
	}
	r.fault(fault{message: "unknown flag " + name, hint: "see " + r.cmd.CommandPath() + " --help", without: true, blind: true})
	return rest
}

// secret is a flag that somebody may think takes a secret: its value is repeated nowhere.
func (r *reading) secret(name, meant string, has bool, rest []string) []string {
	if !has && follows("", false, rest) != "" {
		rest = rest[1:]
	}
	f := fault{message: "unknown flag " + name, hint: "no flag takes a secret: give it in a file or in the environment", without: true, blind: true}
	if meant != "" {
		f.hint = "did you mean --" + meant + "? " + f.hint
	}
	r.fault(f)
	return rest
}

// follows is the value of a flag that takes one: behind its "=", or the next word.
func follows(value string, has bool, rest []string) string {
	if has || len(rest) == 0 || len(rest[0]) > 1 && rest[0][0] == '-' {
		return value
	}
	return rest[0]
}

// habit notes another scanner's flag, with what stands for it in the line.
func (r *reading) habit(h habit, name, value string, has bool, rest []string) []string {
	if h.takes {
		if value = follows(value, has, rest); !has && value != "" {
			rest = rest[1:]
		}
	}
	switch words := h.instead(value); {
	case h.write == always:
		r.same = append(r.same, name)
	case h.write == "" || !r.has(words):
		r.fault(fault{message: h.message(name, value), without: true})
	default:
		r.fault(fault{message: h.message(name, value)})
		r.line = append(r.line, words...)
	}
	return rest
}

// has tells whether the command has the flags of a line.
func (r *reading) has(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool {
		switch {
		case strings.HasPrefix(w, "--"):
			return r.flag(w[2:]) == nil
		case len(w) == 2 && w[0] == '-':
			return r.letter(w[1]) == nil
		}
		return false
	})
}

func (r *reading) fault(f fault)                { r.faults = append(r.faults, f) }
func (r *reading) flag(name string) *pflag.Flag { return r.cmd.Flags().Lookup(name) }

func (r *reading) letter(c byte) *pflag.Flag {
	if c >= 0x80 {
		return nil
	}
	return r.cmd.Flags().ShorthandLookup(string(rune(c)))
}

// misspelt is the flag of ours that a name was meant to be: near it, or the only one that begins so.
func (r *reading) misspelt(name string) string {
	var all, begin []string
	r.cmd.Flags().VisitAll(func(f *pflag.Flag) {
		all = append(all, f.Name)
		if len(name) > 3 && strings.HasPrefix(f.Name, strings.ReplaceAll(strings.ToLower(name), "_", "-")) {
			begin = append(begin, f.Name)
		}
	})
	if meant := nearest(name, all); meant != "" || len(begin) != 1 {
		return meant
	}
	return begin[0]
}

// err is what is wrong with the line, with the right one as its hint.
func (r *reading) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	var messages []string
	rewritten := false
	for _, f := range r.faults {
		messages = append(messages, f.message)
		rewritten = rewritten || !f.without
	}
	hint, blind := r.faults[0].hint, slices.IndexFunc(r.faults, func(f fault) bool { return f.blind })
	switch {
	case blind >= 0:
		hint = r.faults[blind].hint
	case len(r.faults) > 1 || hint == "":
		line := shellLine(append(strings.Fields(r.cmd.CommandPath()), recordable(r.line)...))
		switch {
		case len(line) > longLine:
			hint = "see " + r.cmd.CommandPath() + " --help"
		case rewritten:
			hint = "write: " + line
		default:
			hint = "without it: " + line
		}
	}
	return usage(hint, "%s", strings.Join(messages, "\n"))
}

// longLine is how long a line may be that a hint repeats.
const longLine = 400

var plainWord = regexp.MustCompile(`^[-+=:,./@%_0-9A-Za-z\[\]]+$`)

// shellLine writes words as a shell reads them.
func shellLine(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if plainWord.MatchString(w) && !strings.ContainsAny(w, "[]") {
			b.WriteString(w)
		} else {
			b.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "'")
		}
	}
	return b.String()
}

// isFile tells a name that somebody may have meant as a file's.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}
