package policy

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"synoptic/results/spelling"
)

// What a policy may be at most, so that reading one takes no more than some hundred megabytes whatever it holds.
const (
	MaxFile     = 16 << 20 // bytes
	maxPieces   = 1 << 20  // lines and elements of lists
	maxRanges   = 1 << 20  // of addresses and of ports, of all rules
	maxRequired = 1 << 20  // endpoints that rules require
	maxText     = 100      // characters of a name, an owner or a ticket
)

// reader is the state of one Load.
type reader struct {
	file   string
	p      *Policy
	sets   map[string]*set
	names  []string // of sets, in the order of the file
	ranges int      // of all rules and exceptions
}

// Load reads a policy. The name of the file is for errors, which are *Error.
func Load(file string, in io.Reader) (*Policy, error) {
	r := &reader{file: file, p: &Policy{}, sets: map[string]*set{}}
	data, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err != nil {
		return nil, &Error{File: file, Err: err, hint: "give a text file that can be read"}
	}
	root, err := r.document(data)
	if err == nil {
		err = r.policy(root)
	}
	if err == nil {
		err = r.required()
	}
	if err != nil {
		return nil, err
	}
	if err := r.p.compile(); err != nil {
		return nil, r.whole("join rules whose addresses overlap", "%w", err)
	}
	return r.p, nil
}

const fileHint = "a policy has version: 1 and below rules: a list of rules"

// yamlError is how the YAML library says where a file is wrong.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// document parses the file, and nothing of what it means.
func (r *reader) document(data []byte) (*yaml.Node, error) {
	switch {
	case len(data) > MaxFile:
		return nil, r.whole("name prefixes instead of addresses, or make several policies", "larger than %d bytes", MaxFile)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte(`{"v":`)):
		return nil, r.whole("give the policy first, and then the records", "it has records, and is no policy")
	case !utf8.Valid(data):
		return nil, r.whole("save it as UTF-8", "it is not UTF-8")
	}
	pieces := bytes.Count(data, []byte("- "))
	for _, c := range ",\n[{?" {
		pieces += bytes.Count(data, []byte(string(c)))
	}
	if pieces > maxPieces {
		return nil, r.whole("name prefixes instead of addresses, or make several policies", "more than %d lines and elements of lists", maxPieces)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, r.whole(fileHint, "the policy is empty")
	case err != nil:
		return nil, r.notYAML(err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, r.wrong(&more, "keep one policy in a file", "a second document begins")
	case !errors.Is(err, io.EOF):
		return nil, r.notYAML(err)
	}
	return doc.Content[0], nil
}

func (r *reader) notYAML(err error) error {
	e := &Error{File: r.file, Line: 1, hint: `check the indentation; values with : # * & [ { are written in quotes, IPv6 addresses in lists, too: "2001:db8::1"`}
	why := err.Error()
	if m := yamlError.FindStringSubmatch(why); m != nil {
		line, _ := strconv.Atoi(cmp.Or(m[1], "1")) // the first line is not told
		e.Line, why = line, m[2]
	}
	e.Err = errors.New("not YAML: " + why)
	return e
}

// fields calls f for every key of a mapping, in the order of the file. Each key is one of those that are known, and comes once.
func (r *reader) fields(n *yaml.Node, what string, known []string, f func(key string, value *yaml.Node) error) error {
	if err := r.plain(n, what); err != nil {
		return err
	}
	if n.Kind != yaml.MappingNode {
		return r.wrong(n, what+" has the keys "+oneOf(known), "%s is no mapping of keys to values", what)
	}
	lines := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			hint := what + " has the keys " + oneOf(known)
			if meant := spelling.Nearest(key.Value, known); meant != "" {
				hint = "did you mean " + meant + "?"
			}
			return r.wrong(key, hint, "unknown key %q of %s", short(key.Value), what)
		case lines[key.Value] != 0:
			return r.wrong(key, "give each key once", "%s is already in line %d", key.Value, lines[key.Value])
		}
		lines[key.Value] = key.Line
		if err := f(key.Value, value); err != nil {
			return err
		}
	}
	return nil
}

// plain refuses what no policy needs, and what a small file could be made large by.
func (r *reader) plain(n *yaml.Node, what string) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return r.wrong(n, `use a set, or write the value out; a * at its beginning needs quotes: "*"`, "%s: anchors and aliases are not supported", what)
	case n.Style&yaml.TaggedStyle != 0:
		return r.wrong(n, "leave the tag out", "%s: tags are not supported", what)
	}
	return nil
}

// text reads a scalar, as it was written.
func (r *reader) text(n *yaml.Node, what string) (string, error) {
	if err := r.plain(n, what); err != nil {
		return "", err
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", r.wrong(n, `give one value; an IPv6 address in a list needs quotes: "2001:db8::1"`, "%s: one value is wanted", what)
	case strings.TrimSpace(n.Value) == "" || n.Tag == "!!null":
		return "", r.wrong(n, `give a value, or leave it out; "~" and "null" need quotes`, "%s is empty", what)
	case utf8.RuneCountInString(n.Value) > maxText && !strings.Contains(what, "exe"):
		return "", r.wrong(n, "shorten it", "%s is longer than %d characters", what, maxText)
	}
	return strings.TrimSpace(n.Value), nil
}

// list gives the elements of a list, or a single value as a list of one.
func (r *reader) list(n *yaml.Node, what string) ([]*yaml.Node, error) {
	if err := r.plain(n, what); err != nil {
		return nil, err
	}
	switch {
	case n.Kind != yaml.SequenceNode:
		return []*yaml.Node{n}, nil
	case len(n.Content) == 0:
		return nil, r.wrong(n, "give a value, or leave the key out", "%s is empty", what)
	}
	return n.Content, nil
}

// texts reads a list of scalars, each once.
func (r *reader) texts(n *yaml.Node, what string) (all []string, err error) {
	nodes, err := r.list(n, what)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, e := range nodes {
		s, err := r.text(e, what)
		if err != nil {
			return nil, err
		}
		if seen[s] {
			return nil, r.wrong(e, "give it once", "%s has %q twice", what, short(s))
		}
		seen[s], all = true, append(all, s)
	}
	return all, nil
}
