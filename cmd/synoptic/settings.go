package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// settings are the values of flags that the command line does not give. For each flag the first counts that has it: the
// command line, the environment, the profile, the default. Only exclusions add up, whoever names them: what is never to be
// probed must not be forgotten because somebody excludes one more address.
type settings struct {
	from  []setting
	notes []string // what is to be warned of
}

// setting is a flag with a value that does not come from the command line.
type setting struct {
	flag, source string
	values       []string
}

func registerProfile(fl *pflag.FlagSet) {
	fl.Var(new(word), "profile", "take the values of flags that are not given from profile `NAME`, or from a YAML file: see Profiles below")
}

// addUp are the flags whose values add up over all sources.
var addUp = []string{"exclude", "exclude-file", "exclude-ports"}

// rivals are flags of which one only may be given: one of a weaker source gives way.
var rivals = map[string]string{"ports": "top-ports", "top-ports": "ports", "retries": "target-recall", "target-recall": "retries"}

// envName is the environment's name for a flag.
func envName(flag string) string {
	return "SYNOPTIC_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// configurable tells whether a flag can be set by the environment.
func configurable(f *pflag.Flag) bool { return f.Name != "help" && f.Name != "version" }

// fill gives the flags of a command that are still without a value those of the environment and of the profile.
func (s *settings) fill(cmd *cobra.Command, env func(string) (string, bool)) error {
	fl := cmd.Flags()
	given := changed(fl) // by the command line
	if err := s.environment(fl, given, env); err != nil {
		return err
	}
	f := fl.Lookup("profile")
	if f == nil || f.Value.String() == "" {
		return nil
	}
	p, err := readProfile(f.Value.String(), env)
	if err != nil {
		return err
	}
	s.notes = append(s.notes, p.notes...)
	return s.fromProfile(cmd, p, changed(fl))
}

// changed are the flags that have a value.
func changed(fl *pflag.FlagSet) map[string]bool {
	given := map[string]bool{}
	fl.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			given[f.Name] = true
		}
	})
	return given
}

func (s *settings) environment(fl *pflag.FlagSet, given map[string]bool, env func(string) (string, bool)) (err error) {
	fl.VisitAll(func(f *pflag.Flag) {
		name := envName(f.Name)
		value, ok := env(name)
		if !ok || err != nil || !configurable(f) || name == envElasticUser { // which goes with the secrets
			return
		}
		values := []string{value}
		if _, list := f.Value.(adds); list && strings.TrimSpace(value) != "" {
			values = strings.Fields(value)
		}
		err = s.set(fl, f, setting{f.Name, name, values}, name, given)
	})
	return err
}

// set gives a flag its values, unless a stronger source has one for it. As is how the value is called where it is wrong.
func (s *settings) set(fl *pflag.FlagSet, f *pflag.Flag, from setting, as string, given map[string]bool) error {
	_, more := f.Value.(adds)
	more = more && slices.Contains(addUp, f.Name)
	if given[f.Name] && !more || given[rivals[f.Name]] {
		return nil
	}
	for _, v := range from.values {
		if err := f.Value.Set(v); err != nil {
			return badValue(as, v, err)
		}
	}
	f.Changed = true
	s.from = append(s.from, from)
	return nil
}

// sets tells whether a flag has a value that does not come from the command line.
func (s *settings) sets(flag string) bool {
	return slices.ContainsFunc(s.from, func(x setting) bool { return x.flag == flag })
}

// told says which values do not come from the command line, and never what they are.
func (s *settings) told() string {
	var sources []string
	flags := map[string][]string{}
	for _, x := range s.from {
		if flags[x.source] == nil {
			sources = append(sources, x.source)
		}
		flags[x.source] = append(flags[x.source], "--"+x.flag)
	}
	var words []string
	for _, source := range sources {
		words = append(words, strings.Join(flags[source], ", ")+" by "+source)
	}
	return strings.Join(words, "; ")
}

// write adds a row to the plan.
func (s *settings) write(w io.Writer) {
	if told := s.told(); told != "" {
		fmt.Fprintf(w, "%-10s %s\n", "settings", told)
	}
}

// args are the settings as words of a command line, for the record of the scan.
func (s *settings) args() (args []string) {
	for _, x := range s.from {
		for _, v := range x.values {
			args = append(args, "--"+x.flag+"="+v)
		}
	}
	return args
}

// tell adds a row to the plan of a scan that begins, and warns.
func (s *settings) tell(w *os.File, quiet bool, logs logFormat) {
	log := logs.logger(w)
	s.warn(log)
	switch told := s.told(); {
	case quiet || told == "":
	case logs == logText && term.IsTerminal(int(w.Fd())):
		s.write(w)
	default:
		log.Info("settings that are not from the command line", "settings", told)
	}
}

// warn says what is amiss with where the settings come from.
func (s *settings) warn(log *slog.Logger) {
	for _, note := range s.notes {
		log.Warn(note)
	}
}

// blame says where a value comes from that an error of what was asked calls by its flag.
func (s *settings) blame(err error) error {
	if _, failed := errors.AsType[failure](err); err == nil || failed {
		return err
	}
	message := messageOf(err)
	for _, x := range s.from {
		if i := strings.Index(message, "--"+x.flag); i >= 0 && !isName(message[i+2+len(x.flag):]) {
			return usage(hintOf(err), "%s (--%s is set by %s)", message, x.flag, x.source)
		}
	}
	return err
}

// isName tells whether a flag's name goes on.
func isName(rest string) bool { return rest != "" && (isWord(rest[0]) || rest[0] == '-') }

// strayVariables are variables of the environment that look as if they were meant for a flag and are none's.
func strayVariables(root *cobra.Command, environ []string) (notes []string) {
	known := []string{envHECToken, envElasticKey, envElasticUser, envElasticPassword}
	for _, cmd := range append(commandsBelow(root), root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, envName(f.Name)) })
	}
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "SYNOPTIC_") || slices.Contains(known, name) {
			continue
		}
		if meant := nearest(name, known); meant != "" {
			notes = append(notes, fmt.Sprintf("the variable %s sets nothing: did you mean %s?", name, strings.ToUpper(meant)))
		}
	}
	return notes
}

// lookupEnv is the environment of the process.
func lookupEnv(name string) (string, bool) { return os.LookupEnv(name) }
