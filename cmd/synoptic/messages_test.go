package main

import (
	"regexp"
	"testing"
)

// Command lines with something wrong in them that were once answered unclearly, or not at all.
var mistaken = []saying{
	{"scan 127.0.0.1 -p 22 --exclude ∅", 2, `--exclude is empty \(an unset variable\?\)`},
	{"scan 127.0.0.1 --top-ports all", 2, `--top-ports: all is no number; for all ports: write -p -`},
	{"scan 127.0.0.1 --top-ports ten", 2, `--top-ports ten: a number of ports`},
	{"scan 127.0.0.1 --retries two", 2, `--retries two: a number from 0 to 9\n`},
	{"scan 127.0.0.1 --retries 99", 2, `0 to 9`},
	{"scan 127.0.0.1 --seed -1", 2, `--seed -1: a number from 0 to`},
	{"scan 127.0.0.1 --seed abc", 2, `--seed abc: a number from 0 to`},
	{"scan 127.0.0.1 --target-recall 99%", 2, `--target-recall 99%: a share between 0 and 1.*hint: write 0\.99\n`},
	{"scan 127.0.0.1 --min-coverage 95%", 2, `hint: write 0\.95\n`},
	{"scan 127.0.0.1 --min-coverage 0,95", 2, `hint: write 0\.95\n`},
	{"scan 127.0.0.1 --quiet=yes", 2, `--quiet yes: true or false`},
	{"scan 127.0.0.1 --verify=on", 2, `--verify on: true or false`},
	{"scan 127.0.0.1 --source-port 70000", 2, `--source-port 70000: a port from 1 to 65520`},
	{"scan 127.0.0.1 --source-port 0", 2, `1 to 65520`},
	{"scan 127.0.0.1 --source-port http", 2, `1 to 65520`},
	{"scan 127.0.0.1 --lanes many", 2, `--lanes many: a number from 1 to 32`},
	{"scan 127.0.0.1 --batch 1,000", 2, `a number from 1 to 64.*write 1000`},
	{"scan 127.0.0.1 --wait 5", 2, `--wait 5: a duration with its unit.*hint: write 5s\n`},
	{"scan 127.0.0.1 --wait 5sec", 2, `write 5s\n`},
	{"scan 127.0.0.1 --retry-gap 2␣minutes", 2, `write 2m\n`},
	{"scan 127.0.0.1 --patience soon", 2, `--patience soon: a duration with its unit`},
	{"scan 127.0.0.1 --patience -5", 2, `--patience -5: a duration`},
	{"scan 127.0.0.1 --wait -5s", 2, `--wait -5s is not above 0`},
	{"scan 127.0.0.1 --source-ip fred", 2, `--source-ip fred: not an IP address`},
	{"scan 127.0.0.1 -p ∅", 2, `--ports is empty \(an unset variable\?\)`},
	{"scan 127.0.0.1 -p ␣", 2, `--ports is empty`},
	{"scan 127.0.0.1 --retries=", 2, `--retries is empty`},
	{"scan 127.0.0.1 --wait=", 2, `--wait is empty`},
	{"scan 127.0.0.1 --rate", 2, `--rate needs a value\nhint: write --rate PPS`},
	{"scan 127.0.0.1 -r 10kpps", 2, `hint: write 10k\n`},
	{"scan 127.0.0.1 -r 10Mbps", 2, `a bandwidth, not a rate\nhint: write --bandwidth 10M\n`},
	{"scan 127.0.0.1 -r 10,000", 2, `hint: write 10000\n`},
	{"scan 127.0.0.1 -r 1e5", 2, `hint: write 100000\n`},
	{"scan 127.0.0.1 -r max", 2, `hint: write the packets per second`},
	{"scan 127.0.0.1 --bandwidth 10MB", 2, `hint: write 80M\n`},
	{"scan 127.0.0.1 --bandwidth 10Mbit", 2, `hint: write 10M\n`},
	{"scan 127.0.0.1 --bandwidth 10m", 2, `hint: write 10M\n`},
	{"scan 127.0.0.1 --bandwidth 10kpps", 2, `hint: write --rate 10k\n`},
	{"scan 127.0.0.1 --max-memory 10T", 2, `K, M and G`},
	{"scan 127.0.0.1 --max-memory 256MB", 2, `write 256M\n`},
	{"scan 127.0.0.1 -p 22␣80", 2, `separate with commas: 22,80\n`},
	{"scan 127.0.0.1 -p 22 --backend Connect --dry-run", 0, `connect: asked for`},
	{"scan 127.0.0.1 -p 22 --backend xpd", 2, `unknown backend "xpd"\nhint: did you mean xdp\?`},
	{"scan 127.0.0.1 -p 22 --show opened", 2, `unknown state "opened"\nhint: did you mean open\?`},
	{"scan 127.0.0.1 -p 22 --show Open,Closed --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 22 --syn-profile linus", 2, `did you mean linux\?`},
	{"scan 127.0.0.1 -p 22 --log-format jsno", 2, `did you mean json\?`},
	{"scan 127.0.0.1 -o json:x.json", 2, `hint: write: synoptic scan 127.0.0.1 -o jsonl:x.json\n`},
	{"scan 127.0.0.1 -o xml:x", 2, `-o nmap-xml:x`},
	{"scan 127.0.0.1 -o nmap:x", 2, `-o nmap-xml:x`},
	{"scan 127.0.0.1 -o jsnol:x", 2, `-o jsonl:x`},
	{"scan 127.0.0.1 -o CSV:x", 2, `-o csv:x`},
	{"scan 127.0.0.1 -o nonsense:x", 2, `unknown format "nonsense"\nhint: the formats are csv, `},
	{"scan 127.0.0.1 -o csv:", 2, `has no file.*-o csv:FILE`},
	{"scan 127.0.0.1 -o scan.csv.gz", 2, `would not be compressed.*-o scan.csv\n`},
	{"scan 127.0.0.1 -o a -o a", 2, `two outputs write to a\n`},
	{"scan 127.0.0.1 -o a -o csv:./a", 2, `two outputs write to ./a\n`},
	{"scan 127.0.0.1 -o - -o csv:-", 2, `two outputs write to standard output\n`},
	{"scan 127.0.0.1 -o csv:syslog+tcp://127.0.0.1:1", 2, `one JSON object per message.*use ecs, jsonl or ocsf`},
	{"scan 127.0.0.1 -o hec+https://127.0.0.1:1?indx=net", 2, `unknown option "indx"`},
	{"scan 127.0.0.1 -o hec+https://127.0.0.1:1?index=", 2, `the option "index" of the URL is empty`},
	{"convert -o a -o a x", 2, `two outputs write to a\n`},
	{"convert --show opened x", 2, `did you mean open\?`},
	{"ports 22 80", 2, `separate ports with commas: 22,80`},
	{"ports --top 0", 2, `the list has 1 to`},
	{"ports --top ten", 2, `--top ten: a number of ports`},
	{"man nosuch", 2, `there are pages of convert, ctl, man, ports, scan\n`},
}

// elsewhere are those whose words are the business of another part of the program, which has tests of its own: here it is
// only seen that nobody is left without an answer. -1 is any exit code.
var elsewhere = []struct {
	part string
	saying
}{
	{"addresses", saying{"scan 127.0.0.1 -p 22 --source-ip 1.2.3.4 --dry-run", -1, `1\.2\.3\.4|targets`}},
	{"targets", saying{"scan 127.0.0.1 -p 22 --exclude-file empty.txt --dry-run", -1, `empty|targets`}},
	{"targets", saying{"scan 127.0.0.1 -p 22 --exclude 10.92.0.0/16 --dry-run", -1, `.`}},
	{"targets", saying{"scan -i folder", 2, `folder`}},
	{"targets", saying{"scan -i empty.txt", 2, `empty.txt|no target`}},
	{"targets", saying{"scan fd00:90::/64", 2, `hint: `}},
	{"targets", saying{"scan 0.0.0.0/0", 2, `hint: `}},
	{"plan", saying{"scan 127.0.0.5/24 -p 22 --dry-run", 0, `25[56] addresses`}},
	{"plan", saying{"scan 127.0.0.0/8 -p - --rate 1 --dry-run", -1, `.`}},
	{"outputs", saying{"scan 127.0.0.1 -p 22 -o unix:/nonexistent.sock --dry-run", -1, `.`}},
}

func TestMistaken(t *testing.T) {
	clean(t)
	write(t, "empty.txt", "# nothing\n")
	write(t, "folder/file", "")
	for _, s := range elsewhere {
		if o := answer(t, s.words()...); s.code >= 0 && o.code != s.code || !regexp.MustCompile(s.want).MatchString(o.stderr+o.stdout) {
			t.Errorf("%s: synoptic %s: exit %d, want %d and %s:\n%s", s.part, s.line, o.code, s.code, s.want, o.stderr)
		}
	}
	for _, s := range mistaken {
		s.check(t)
	}
}
