package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Every flag can be set by the environment and by a profile.
func TestEveryFlagCanBeSet(t *testing.T) {
	for _, name := range []string{"scan", "convert"} {
		logs := logText
		var all []*pflag.Flag
		command(t, newRootCommand(&stopper{}, nil, streams{}, &logs), name).Flags().VisitAll(func(f *pflag.Flag) {
			if configurable(f) && f.Name != "profile" && f.Name != "elastic-user" {
				all = append(all, f)
			}
		})
		for _, f := range all {
			value := aValue(f, false)
			cmd := command(t, newRootCommand(&stopper{}, nil, streams{}, &logs), name)
			var s settings
			err := s.fill(cmd, func(v string) (string, bool) { return value, v == envName(f.Name) })
			if got := cmd.Flags().Lookup(f.Name); err != nil || !got.Changed || got.Value.String() != value || len(s.from) != 1 {
				t.Errorf("%s %s=%s: %v, value %q", name, envName(f.Name), value, err, got.Value)
			}
			cmd = command(t, newRootCommand(&stopper{}, nil, streams{}, &logs), name)
			p := &profile{file: "x.yaml"}
			err = p.parse([]byte(f.Name + ": " + value + "\n"))
			if err == nil {
				err = s.fromProfile(cmd, p, map[string]bool{})
			}
			if got := cmd.Flags().Lookup(f.Name); err != nil || !got.Changed || got.Value.String() != value {
				t.Errorf("%s profile %s: %s: %v, value %q", name, f.Name, value, err, got.Value)
			}
		}
		if len(all) < 12 {
			t.Errorf("%s: %d flags only", name, len(all))
		}
	}
}

// The command line counts before the environment, that before the profile, that before the default; exclusions add up.
func TestPrecedence(t *testing.T) {
	clean(t)
	raw := rawSockets(t)
	write(t, "config/synoptic/nightly.yaml", "ports: [22, 80, 443]\nrate: 50k\nretries: 1\nexclude: 127.0.0.3\n")
	write(t, "never", "127.0.0.4\n")
	const scan = "scan 127.0.0.1-127.0.0.5 --dry-run "
	for _, c := range []struct {
		env  string
		line string
		want string
	}{
		{"", scan + "-p 22", `^targets +5 addresses . 1 port .*10k pps|500k pps`},
		{"", scan + "--profile nightly", `4 addresses . 3 ports.*50k pps.*\nsettings +--ports, --rate, --retries, --exclude by profile [^;]*nightly.yaml\n`},
		{"SYNOPTIC_RATE=20k", scan + "-p 22", `20k pps.*settings +--rate by SYNOPTIC_RATE\n`},
		{"SYNOPTIC_RATE=20k", scan + "--profile nightly", `20k pps.*settings +--rate by SYNOPTIC_RATE; --ports, --retries, --exclude by profile`},
		{"SYNOPTIC_RATE=20k", scan + "--profile nightly --rate 5k", `5k pps.*settings +--ports, --retries, --exclude by profile`},
		{"SYNOPTIC_PROFILE=nightly", scan, `3 ports.*50k pps.*--profile by SYNOPTIC_PROFILE`},
		{"SYNOPTIC_PORTS=22␣80", scan, `2 ports`},
		{"SYNOPTIC_PORTS=22,80", scan + "-p 443", `1 port\b`},
		{"SYNOPTIC_TOP_PORTS=10", scan, `10 ports`},
		{"SYNOPTIC_TOP_PORTS=10", scan + "-p 443", `1 port\b`},
		{"SYNOPTIC_TOP_PORTS=10", scan + "--profile nightly", `10 ports`},
		{"", scan + "--profile nightly --top-ports 7", `7 ports`},
		{"SYNOPTIC_TARGET_RECALL=0.99", scan + "--profile nightly", `to find 99%`},
		{"SYNOPTIC_EXCLUDE=127.0.0.2", scan + "--profile nightly --exclude 127.0.0.1", `2 addresses`},
		{"SYNOPTIC_EXCLUDE_FILE=never", scan + "--profile nightly", `3 addresses`},
		{"SYNOPTIC_DRY_RUN=true", "scan 127.0.0.1 -p 1", `^targets`},
	} {
		name, value, _ := strings.Cut(c.env, "=")
		if !raw && name == "SYNOPTIC_TARGET_RECALL" {
			continue // connect() leaves retries to the kernel
		}
		if name != "" {
			t.Setenv(name, strings.ReplaceAll(value, "␣", " "))
		}
		saying{c.line, 0, c.want}.check(t)
		if name != "" {
			os.Unsetenv(name)
		}
	}
}

// What is wrong with a setting is called by where it stands.
func TestWrongSettings(t *testing.T) {
	clean(t)
	for _, c := range []struct{ env, profile, want string }{
		{"SYNOPTIC_RETRIES=two", "", `SYNOPTIC_RETRIES two: a number from 0 to 9\n`},
		{"SYNOPTIC_SCOPE=", "", `SYNOPTIC_SCOPE is empty`},
		{"SYNOPTIC_VERIFY=yes", "", `SYNOPTIC_VERIFY yes: true or false`},
		{"SYNOPTIC_WAIT=5", "", `SYNOPTIC_WAIT 5: .*write 5s`},
		{"SYNOPTIC_RATE=10kpps", "", `\(--rate is set by SYNOPTIC_RATE\)\nhint: write 10k\n`},
		{"SYNOPTIC_BACKEND=xpd", "", `hint: did you mean xdp\?`},
		{"SYNOPTIC_PROFILE=nosuch", "", `no such profile`},
		{"", "ports: 22\nraet: 50k\n", `p.yaml:2: unknown flag "raet"\nhint: did you mean rate\?`},
		{"", "# a comment\n\nnonsense: 1\n", `p.yaml:3: unknown flag "nonsense"\nhint: a profile has the names of flags`},
		{"", "ports: 22\nports: 23\n", `p.yaml:2: ports is already in line 1`},
		{"", "retries: two\n", `p.yaml:1: retries two: a number from 0 to 9`},
		{"", "rate:\n", `p.yaml:1: rate is empty`},
		{"", "rate: ''\n", `rate is empty`},
		{"", "exclude: []\n", `exclude is empty`},
		{"", "rate: [1, 2]\n", `rate takes no list`},
		{"", "rate: {a: b}\n", `a value or a list`},
		{"", "rate: 99kpps\n", `--rate is set by profile [^)]*p.yaml`},
		{"", "verify: yes\n", `verify yes: true or false`},
		{"", "ports: -\n", `p.yaml:1: not YAML.*quotes`},
		{"", "ports: *\n", `p.yaml.*(not YAML|aliases)`},
		{"", "a: &x 1\nports: *x\n", `p.yaml:1: a: anchors`},
		{"", "- 22\n", `p.yaml:1: this is no flag and its value`},
		{"", "just words\n", `p.yaml:1: this is no flag and its value`},
		{"", "", `p.yaml: the profile is empty`},
		{"", "ports: 22\n---\nports: 23\n", `a second document`},
		{"", "ports: 22\n\trate: 5\n", `not YAML`},
		{"", "profile: other\n", `cannot name another`},
		{"", "help: true\n", `unknown flag "help"`},
		{"", "top_ports: 10\n", `did you mean top-ports\?`},
		{"", "--rate: 10k\n", `did you mean rate\?`},
		{"", "hec-token: hunter2\n", `unknown flag "hec-token"`},
		{"", strings.Repeat("#", maxProfile+1), `larger than`},
	} {
		line := "scan 127.0.0.1 -p 22 --dry-run"
		if c.env == "" {
			write(t, "p.yaml", c.profile)
			line = "scan 127.0.0.1 --dry-run --profile p.yaml"
		}
		name, value, _ := strings.Cut(c.env, "=")
		if name != "" {
			t.Setenv(name, value)
		}
		s := saying{line, 2, c.want}
		s.check(t)
		if o := answer(t, s.words()...); strings.Contains(o.stderr+o.stdout, "hunter2") {
			t.Errorf("%q: a value is repeated: %s", c.profile, o.stderr)
		}
		if name != "" {
			os.Unsetenv(name)
		}
	}
}

func TestFindProfile(t *testing.T) {
	clean(t)
	write(t, "config/synoptic/nightly.yaml", "ports: 22\n")
	write(t, "config/synoptic/weekly.yaml", "ports: [22, 23]\nscan-id: last\nshow: [open, closed]\n")
	write(t, "own.yaml", "\ufeffports: \"-\"\r\n")
	write(t, "sub/profile", "{ports: 22, rate: 5k}\n")
	for _, s := range []saying{
		{"scan 127.0.0.1 --dry-run --profile nightly", 0, `1 port\b`},
		{"scan 127.0.0.1 --dry-run --profile weekly", 0, `2 ports`},
		{"scan 127.0.0.1 --dry-run --profile own.yaml", 0, `65,535 ports`},
		{"scan 127.0.0.1 --dry-run --profile ./sub/profile", 0, `1 port\b.*5k pps`},
		{"scan 127.0.0.1 --dry-run --profile nightli", 2, `did you mean nightly\? the profiles are nightly, weekly`},
		{"scan 127.0.0.1 --dry-run --profile zzz", 2, `the profiles are nightly, weekly`},
		{"scan 127.0.0.1 --dry-run --profile ./nosuch.yaml", 2, `--profile ./nosuch.yaml: no such file`},
		{"scan 127.0.0.1 --dry-run --profile ./sub", 2, `it is a folder`},
		{"scan 127.0.0.1 --dry-run --profile nightly --profile weekly", 2, `--profile is given twice`},
		{"convert --profile weekly nosuch.jsonl", 2, `nosuch.jsonl`},
	} {
		s.check(t)
	}
	if err := os.Chmod("own.yaml", 0o606); err != nil {
		t.Fatal(err)
	}
	saying{"scan 127.0.0.1 -p 22 --dry-run --profile own.yaml", 0, `anybody may write the profile own.yaml|^targets`}.check(t)
}

// What is told of settings is their names, never their values; the record has them as a command line would, less secrets.
func TestSettingsAreRecorded(t *testing.T) {
	s := settings{from: []setting{
		{"rate", "SYNOPTIC_RATE", []string{"50k"}},
		{"output", "profile p", []string{"a", "hec+https://user:hunter2@h"}},
	}}
	if told := s.told(); told != "--rate by SYNOPTIC_RATE; --output by profile p" {
		t.Error(told)
	}
	args := strings.Join(recordable(s.args()), " ")
	if !strings.HasPrefix(args, "--rate=50k --output=a --output=hec+https://") || strings.Contains(args, "hunter2") {
		t.Error(args)
	}
}

// A variable that looks as if it were meant for a flag is told.
func TestStrayVariables(t *testing.T) {
	clean(t)
	t.Setenv("SYNOPTIC_RAET", "5")
	t.Setenv("SYNOPTIC_TEST_SEEDS", "2")
	t.Setenv("SYNOPTIC_HEC_TOKEN", "x")
	o := answer(t, "scan", "127.0.0.1", "-p", "22", "--dry-run")
	if !strings.Contains(o.stderr, "SYNOPTIC_RAET sets nothing: did you mean SYNOPTIC_RATE?") || regexp.MustCompile("SEEDS|TOKEN").MatchString(o.stderr) {
		t.Error(o.stderr)
	}
}
