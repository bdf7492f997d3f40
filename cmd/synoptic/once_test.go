package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// aValue is one that a flag takes.
func aValue(f *pflag.Flag, other bool) string {
	if other {
		switch f.Value.Type() {
		case "bool":
			return "false"
		case "duration":
			return "7s"
		case "format":
			return "text"
		}
		return "7"
	}
	switch f.Value.Type() {
	case "bool":
		return "true"
	case "duration":
		return "5s"
	case "float64":
		return "0.5"
	case "format":
		return "json"
	}
	return "5"
}

// No flag of any command takes a second value in the place of the first: it adds up, or it is refused.
func TestNoLastWins(t *testing.T) {
	logs := logText
	root := newRootCommand(&stopper{}, nil, streams{}, &logs)
	var lists []string
	walked := 0
	for _, cmd := range append(root.Commands(), root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			walked++
			first, second := aValue(f, false), aValue(f, true)
			if err := f.Value.Set(first); err != nil {
				t.Errorf("%s --%s %s: %v", cmd.Name(), f.Name, first, err)
				return
			}
			err := f.Value.Set(second)
			if _, list := f.Value.(adds); list {
				lists = append(lists, f.Name)
				if err != nil || !strings.Contains(f.Value.String(), first) || !strings.Contains(f.Value.String(), second) {
					t.Errorf("%s --%s does not add up: %q, %v", cmd.Name(), f.Name, f.Value, err)
				}
				return
			}
			if !errors.Is(err, errTwice) {
				t.Errorf("%s --%s %s --%s %s: %v, value %s", cmd.Name(), f.Name, first, f.Name, second, err, f.Value)
			}
			logs = logText // which every command shares
			if o, ok := f.Value.(*once); ok {
				o.have = false
			}
		})
	}
	for _, name := range []string{"ports", "interface", "exclude", "exclude-file", "targets-file", "scope", "show", "output", "beacon"} {
		if !slices.Contains(lists, name) {
			t.Errorf("--%s is no list", name)
		}
	}
	if walked < 50 {
		t.Errorf("%d flags: the walk has missed some", walked)
	}
}

func TestRepeatedFlags(t *testing.T) {
	clean(t)
	write(t, "a", "127.0.0.1\n")
	write(t, "b", "127.0.0.2\n")
	for _, s := range []saying{
		{"scan 127.0.0.1 -p 22 -p 443 --dry-run", 0, `2 ports`},
		{"scan 127.0.0.1 -p 22,80 --ports 443 -p 8000-8001 --dry-run", 0, `5 ports`},
		{"scan 127.0.0.1 -p 22 -p 22 --dry-run", 0, `1 port\b`},
		{"scan -i a -i b -p 22 --dry-run", 0, `2 addresses`},
		{"scan 127.0.0.1 127.0.0.2 -p 22 --scope a --scope b --dry-run", 0, `2 addresses`},
		{"scan 127.0.0.1 127.0.0.2 -p 22 --scope a --dry-run", 2, `outside the scope`},
		{"scan 127.0.0.1-127.0.0.4 -p 22 --exclude 127.0.0.1 --exclude 127.0.0.2 --dry-run", 0, `2 addresses`},
		{"scan 127.0.0.1-127.0.0.4 -p 22 --exclude-file a --exclude-file b --exclude 127.0.0.3 --dry-run", 0, `1 address\b`},
		{"scan 127.0.0.1 --top-ports 100 --top-ports 5", 2, `--top-ports is given twice\nhint: give it once`},
		{"scan 127.0.0.1 -p 22 --rate 100 --rate 1M", 2, `--rate is given twice`},
		{"scan 127.0.0.1 -p 22 -r 100 --rate 100", 2, `--rate is given twice`},
		{"scan 127.0.0.1 -p 22 --retries 1 --retries 2", 2, `--retries is given twice`},
		{"scan 127.0.0.1 -p 22 --seed 1 --seed 2", 2, `--seed is given twice`},
		{"scan 127.0.0.1 -p 22 --wait 1s --wait 2s", 2, `--wait is given twice`},
		{"scan 127.0.0.1 -p 22 --source-ip 127.0.0.1 --source-ip 127.0.0.2", 2, `--source-ip is given twice`},
		{"scan 127.0.0.1 -p 22 --backend connect --backend auto", 2, `--backend is given twice`},
		{"scan 127.0.0.1 -p 22 --verify --verify=false", 2, `--verify is given twice`},
		{"scan 127.0.0.1 -p 22 -q -q --dry-run --dry-run", 0, `^targets`},
		{"scan 127.0.0.1 -p 22 --log-format json --log-format text", 2, `--log-format is given twice`},
		{"convert --scan-id last --scan-id 1 x", 2, `--scan-id is given twice`},
		{"ports --top 1 --top 2", 2, `--top is given twice`},
	} {
		s.check(t)
	}
}
