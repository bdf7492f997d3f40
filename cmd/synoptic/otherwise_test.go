package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Words that could be read otherwise than they look, and what becomes of them: they are read as they look, or refused, and never
// read otherwise without a word.
var ambiguous = []saying{
	// Numbers that some programs read as octal, hexadecimal or grouped.
	{"scan 127.0.0.1 --top-ports 0100", 2, `--top-ports 0100: a number of ports.*hint: write 100\n`},
	{"scan 127.0.0.1 --top-ports 0x10", 2, `--top-ports 0x10: a number of ports`},
	{"scan 127.0.0.1 --top-ports 1_00", 2, `hint: write 100\n`},
	{"scan 127.0.0.1 --source-port 061000", 2, `--source-port 061000: a port from 1 to 65520\nhint: write 61000\n`},
	{"scan 127.0.0.1 --seed 010", 2, `--seed 010: a number.*hint: write 10\n`},
	{"scan 127.0.0.1 --retries 03", 2, `hint: write 3\n`},
	{"scan 127.0.0.1 --retries 0b1", 2, `--retries 0b1: a number from 0 to 9`},
	{"scan 127.0.0.1 --retries 0o7", 2, `--retries 0o7: a number from 0 to 9`},
	{"scan 127.0.0.1 --lanes 010", 2, `hint: write 10\n`},
	{"scan 127.0.0.1 --batch 0_8", 2, `hint: write 8\n`},
	{"scan 127.0.0.1 --min-coverage 0x1p-1", 2, `--min-coverage 0x1p-1: a share`},
	{"scan 127.0.0.1 --target-recall 0.9_9", 2, `--target-recall 0.9_9: a share`},
	{"scan 127.0.0.1 -p 80 --retries 0 --dry-run", 0, `attempts +(1 to a port|by the kernel)`},
	{"scan 127.0.0.1 -p 80 --min-coverage 0.50 --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 080", 2, `port 080 has a leading zero\nhint: leave the leading zero out`},
	{"scan 127.0.0.1 -p 80,0x50", 2, `no TCP service`},
	{"scan 127.0.0.1 --exclude-ports 010-20 -p 80", 2, `leading zero`},
	{"scan 127.0.0.1:0443", 2, `port 0443 has a leading zero`},
	{"scan 127.0.0.1 -p 80 --rate 010k", 2, `leading zero.*hint: write 10k\n`},
	{"scan 127.0.0.1 -p 80 --rate 1_0", 2, `hint: write 10\n`},
	{"scan 127.0.0.1 -p 80 --bandwidth 010M", 2, `leading zero.*hint: write 10M\n`},
	{"scan 127.0.0.1 -p 80 --max-memory 010M", 2, `hint: leave the leading zero out: write 10M\n`},
	{"scan 127.0.0.1 -p 80 --seed 1 --shard 02/08", 2, `not of the form i/n`},
	{"ports --top 010", 2, `hint: write 10\n`},

	// Words behind an exclusion are targets, whatever they were meant to be.
	{"scan 127.0.0.0/30 -p 80 --exclude 127.0.0.1 127.0.0.2", 2, `127.0.0.2 behind --exclude is one more target, and 127.0.0.0/30 has it already.*write: synoptic scan 127.0.0.0/30 -p 80 --exclude 127.0.0.1,127.0.0.2\n`},
	{"scan --exclude 127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.0/30 -p 80", 2, `127.0.0.2 behind.*127.0.0.3 behind.*write: synoptic scan --exclude 127.0.0.1,127.0.0.2,127.0.0.3 127.0.0.0/30 -p 80\n`},
	{"scan 127.0.0.0/24 -p 80 --exclude=127.0.0.1 127.0.0.16/28", 2, `write: synoptic scan 127.0.0.0/24 -p 80 --exclude=127.0.0.1,127.0.0.16/28\n`},
	{"scan --exclude 127.0.0.1 127.0.0.0/30 -p 80 --dry-run", 0, `3 addresses`},
	{"scan --exclude 127.0.0.1 127.0.0.0/30 127.0.1.0/30 -p 80 --dry-run", 0, `7 addresses`},
	{"scan 127.0.0.0/30 --exclude 127.0.0.1 -p 80 127.0.0.2 --dry-run", 0, `3 addresses`},

	// Ranges, separators and comments that look like another notation.
	{"scan 127.0.0.0/30-127.0.0.9 -p 80", 2, `a range has addresses at its ends, not prefixes`},
	{"scan 127.0.0.1;127.0.0.2 -p 80", 2, `separate targets by commas or white space`},
	{"scan -i slashes.txt -p 80", 2, `slashes.txt:1: .*# begins a comment`},
	{"scan -i semicolons.txt -p 80", 2, `semicolons.txt:1: .*# begins a comment`},

	// Ports that are asked for, and that no target gets.
	{"scan 127.0.0.1:443 -p 80 --dry-run", 0, `the ports asked for are probed on no target: each has a port of its own\nhint: leave :PORT out.*1 address . 1 port`},
	{"scan 127.0.0.1:443 --top-ports 5 --dry-run", 0, `probed on no target`},
	{"scan 127.0.0.1:443 127.0.0.2 -p 80 --dry-run", 0, `^targets +2 addresses . 2 ports = 2 ports`},
	{"scan 127.0.0.1:443 --dry-run", 0, `^targets +1 address . 1 port`},

	// Outputs whose names look like something else.
	{"scan 127.0.0.1 -p 80 -o stdout", 2, `-o stdout.*would be a file of that name|stdout would be a file of that name: write -o -`},
	{"scan 127.0.0.1 -p 80 -o STDERR", 2, `would be a file of that name: write -o /dev/stderr`},
	{"scan 127.0.0.1 -p 80 -o &1", 2, `would be a file of that name: write -o -`},
	{"scan 127.0.0.1 -p 80 -o ./stdout --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 80 -o scan.yaml", 2, `would get JSON lines, which its ending does not promise: write -o jsonl:scan.yaml`},
	{"scan 127.0.0.1 -p 80 -o scan.XLSX", 2, `write -o jsonl:scan.XLSX`},
	{"scan 127.0.0.1 -p 80 -o scan.html", 2, `write -o jsonl:scan.html`},
	{"scan 127.0.0.1 -p 80 -o jsonl:scan.yaml --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 80 -o jsonl:␣scan.jsonl", 2, `has a space at its end or its beginning: write -o jsonl:scan.jsonl`},
	{"scan 127.0.0.1 -p 80 -o scan.jsonl␣", 2, `write -o scan.jsonl\n`},
	{"scan 127.0.0.1 -p 80 -o hec+https://h:8088/x.yaml --dry-run", 0, `^targets`},
	{"convert good.jsonl -o stdout", 2, `would be a file of that name`},

	// Several values where one is taken.
	{"scan 127.0.0.1 -p 80 -e lo -e lo", 2, `--interface lo,lo: several interfaces\nhint: give one`},
	{"scan 127.0.0.1 -p 80 -e lo,eth0", 2, `--interface lo,eth0: several interfaces`},
}

func TestReadAsItLooks(t *testing.T) {
	clean(t)
	write(t, "slashes.txt", "// the lab\n127.0.0.1\n")
	write(t, "semicolons.txt", "; the lab\n127.0.0.1\n")
	write(t, "good.jsonl", native(t, "aa", 1))
	for _, s := range ambiguous {
		s.check(t)
	}
	left, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if !slices.Contains([]string{"slashes.txt", "semicolons.txt", "good.jsonl"}, f.Name()) {
			t.Errorf("%q was made", f.Name())
		}
	}
}

// The same numbers in a profile and in the environment, which YAML and shells have their own ideas of.
func TestSettingsReadAsTheyLook(t *testing.T) {
	clean(t)
	for _, c := range []struct{ profile, env, want string }{
		{"top-ports: 0100\n", "", `p.yaml:1: top-ports 0100: .*write 100\n`},
		{"seed: 010\n", "", `p.yaml:1: seed 010: .*write 10\n`},
		{"seed: 0x10\n", "", `p.yaml:1: seed 0x10: `},
		{"seed: 1_000\n", "", `write 1000\n`},
		{"retries: 0o3\n", "", `p.yaml:1: retries 0o3: `},
		{"ports: 022\n", "", `leading zero`},
		{"ports: 22:80\n", "", `write 22-80`}, // 1400 to YAML 1.1
		{"wait: 1:30\n", "", `wait 1:30: a duration`},
		{"rate: 1e3\n", "", `write 1000`},
		{"rate: 010k\n", "", `write 10k`},
		{"verify: on\n", "", `verify on: true or false`},
		{"", "SYNOPTIC_TOP_PORTS=0100", `SYNOPTIC_TOP_PORTS 0100: .*write 100\n`},
		{"", "SYNOPTIC_SEED=0x10", `SYNOPTIC_SEED 0x10: `},
		{"", "SYNOPTIC_OUTPUT=stdout", `would be a file of that name \(--output is set by SYNOPTIC_OUTPUT\)|-o stdout would be`},
	} {
		line := "scan 127.0.0.1 --dry-run"
		if c.profile != "" {
			write(t, "p.yaml", c.profile)
			line += " --profile p.yaml"
		}
		name, value, _ := strings.Cut(c.env, "=")
		if name != "" {
			t.Setenv(name, value)
		}
		saying{line, 2, c.want}.check(t)
		if name != "" {
			os.Unsetenv(name)
		}
	}
}
