package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"synoptic/results/textfile"
)

// profile is a YAML file with the names of flags and their values:
//
//	ports: [22, 80, 443]
//	rate: 50k
//	verify: true
type profile struct {
	file  string
	keys  []profileKey // in the order of the file
	notes []string
}

type profileKey struct {
	name   string
	line   int
	list   bool
	values []string
}

// maxProfile bounds a profile, in bytes: a larger file is another one than was meant.
const maxProfile = 1 << 20

// profileFolders are searched for a profile by its name, in this order.
func profileFolders(env func(string) (string, bool)) (folders []string) {
	if dir, _ := env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) { // a relative one is to be ignored (XDG Base Directory Specification)
		folders = append(folders, filepath.Join(dir, "synoptic"))
	} else if dir, err := os.UserConfigDir(); err == nil && dir != "" {
		folders = append(folders, filepath.Join(dir, "synoptic"))
	}
	if runtime.GOOS != "windows" {
		folders = append(folders, "/etc/synoptic")
	}
	return folders
}

// profilesIn are the names of the profiles that there are.
func profilesIn(folders []string) (names []string) {
	for _, dir := range folders {
		entries, _ := os.ReadDir(dir) // one that is missing has none
		for _, e := range entries {
			if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// findProfile is the file of a profile: that of the name, in the first folder that has it, or the file itself.
func findProfile(name string, env func(string) (string, bool)) (string, error) {
	if strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		return name, nil
	}
	folders := profileFolders(env)
	for _, dir := range folders {
		if file := filepath.Join(dir, name+".yaml"); isFile(file) {
			return file, nil
		}
	}
	hint := "a profile is " + filepath.Join(folders[0], name+".yaml") + "; a file elsewhere is given with its path"
	if names := profilesIn(folders); len(names) > 0 {
		hint = "the profiles are " + strings.Join(names, ", ")
		if meant := nearest(name, names); meant != "" {
			hint = "did you mean " + meant + "? " + hint
		}
	}
	return "", usage(hint, "--profile %s: there is no such profile in %s", name, strings.Join(folders, " or "))
}

// readProfile finds and reads a profile.
func readProfile(name string, env func(string) (string, bool)) (*profile, error) {
	file, err := findProfile(name, env)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("give the name of a profile, or of a YAML file", "--profile %s: %v", name, errors.Unwrap(err))
	}
	defer f.Close()
	p := &profile{file: file}
	if info, err := f.Stat(); err == nil {
		switch {
		case info.IsDir():
			return nil, usage("give a file", "--profile %s: it is a folder", name)
		case runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode()&0o002 != 0:
			p.notes = append(p.notes, fmt.Sprintf("anybody may write the profile %s (mode %04o)", file, info.Mode().Perm()))
		}
	}
	data, err := io.ReadAll(io.LimitReader(textfile.NewReader(f, textfile.Options{}), maxProfile+1))
	switch {
	case err != nil:
		return nil, usage(cmp.Or(hintOf(err), "give a YAML file"), "--profile %s: %v", name, bare(err))
	case len(data) > maxProfile:
		return nil, usage("give a YAML file with the names of flags", "--profile %s: larger than %d bytes", name, maxProfile)
	}
	return p, p.parse(data)
}

const profileHint = "a profile has the names of flags without their dashes, one a line: rate: 50k"

// refuse is the error of a line of the profile.
func (p *profile) refuse(line int, hint, format string, args ...any) error {
	return usage(hint, "%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

// yamlError is how the YAML library says where a file is wrong.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

func (p *profile) parse(data []byte) error {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return usage(profileHint, "%s: the profile is empty", p.file)
	case err != nil:
		line, why := "1", err.Error()
		if m := yamlError.FindStringSubmatch(why); m != nil {
			line, why = cmp.Or(m[1], line), m[2] // the first line is not told
		}
		return usage(`values with : # * & [ { or a single - are written in quotes, such as ports: "-"`, "%s:%s: not YAML: %s", p.file, line, why)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return p.refuse(max(more.Line, 1), "keep one profile in a file", "a second document begins")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return p.refuse(root.Line, profileHint, "this is no flag and its value")
	}
	for i := 0; i < len(root.Content); i += 2 {
		if err := p.key(root.Content[i], root.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// key takes one key and its value.
func (p *profile) key(key, value *yaml.Node) error {
	k := profileKey{name: key.Value, line: key.Line}
	if i := slices.IndexFunc(p.keys, func(o profileKey) bool { return o.name == k.name }); i >= 0 {
		return p.refuse(k.line, "give a list: "+k.name+": [A, B]", "%s is already in line %d", k.name, p.keys[i].line)
	}
	all := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		k.list, all = true, value.Content
	}
	for _, v := range all {
		switch {
		case v.Kind == yaml.AliasNode || v.Anchor != "":
			return p.refuse(v.Line, `write the value out; a * at its beginning needs quotes: "*"`, "%s: anchors and aliases are not supported", k.name)
		case v.Kind != yaml.ScalarNode:
			return p.refuse(v.Line, profileHint, "%s: a value or a list of values is wanted", k.name)
		case strings.TrimSpace(v.Value) == "" || v.Tag == "!!null":
			return p.refuse(v.Line, `give a value, or leave the line out; "~" and "null" need quotes`, "%s is empty", k.name)
		}
		k.values = append(k.values, v.Value)
	}
	if len(k.values) == 0 {
		return p.refuse(k.line, "give a value, or leave the line out", "%s is empty", k.name)
	}
	p.keys = append(p.keys, k)
	return nil
}

// fromProfile gives flags the values of a profile. A profile serves every command that takes one: what another command has
// a flag for is no mistake.
func (s *settings) fromProfile(cmd *cobra.Command, p *profile, given map[string]bool) error {
	known := map[string]bool{}
	for _, c := range cmd.Root().Commands() {
		if c.Flags().Lookup("profile") == nil {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = configurable(f) })
	}
	delete(known, "profile")
	for _, k := range p.keys {
		f := cmd.Flags().Lookup(k.name)
		switch {
		case k.name == "profile":
			return p.refuse(k.line, "write the values out", "a profile cannot name another one")
		case !known[k.name]:
			hint := profileHint
			names := make([]string, 0, len(known))
			for n := range known {
				names = append(names, n)
			}
			slices.Sort(names)
			if meant := nearest(strings.TrimLeft(k.name, "-"), names); meant != "" {
				hint = "did you mean " + meant + "?"
			}
			return p.refuse(k.line, hint, "unknown flag %q", k.name)
		case f == nil: // another command's
			continue
		}
		if _, list := f.Value.(adds); k.list && !list {
			return p.refuse(k.line, "give one value", "%s takes no list", k.name)
		}
		as := fmt.Sprintf("%s:%d: %s", p.file, k.line, k.name)
		if err := s.set(cmd.Flags(), f, setting{k.name, "profile " + p.file, k.values}, as, given); err != nil {
			return err
		}
	}
	return nil
}
