package main

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"synoptic/bench/lab/need"
)

// Command lines as people who know other scanners type them.
var habitual = []saying{
	// Those that would do something else.
	{"scan -oX out.xml -p 22 127.0.0.1", 2, `-oX is nmap's: write -o nmap-xml:out.xml\nhint: write: synoptic scan -o nmap-xml:out.xml -p 22 127.0.0.1\n`},
	{"scan -oG out -p 22 127.0.0.1", 2, `-o grepable:out`},
	{"scan -oN out -p 22 127.0.0.1", 2, `-o table:out`},
	{"scan -oA out -p 22 127.0.0.1", 2, `-o nmap-xml:out.xml -o grepable:out.gnmap -o table:out.nmap`},
	{"scan -oJ out -p 22 127.0.0.1", 2, `-oJ is masscan's: write -o masscan-json:out`},
	{"scan -oL out -p 22 127.0.0.1", 2, `-o masscan-list:out`},
	{"scan -oB out -p 22 127.0.0.1", 2, `-oB is masscan's: write -o jsonl:out`},
	{"scan -oX=out.xml 127.0.0.1", 2, `write: synoptic scan -o nmap-xml:out.xml 127.0.0.1`},
	{"scan 127.0.0.1 -oX", 2, `-o nmap-xml:FILE`},
	{"scan -oXscan.xml 127.0.0.1", 2, `-oXscan.xml could be nmap's -oX: write -o nmap-xml:scan.xml; for the file Xscan.xml write -o Xscan.xml\nhint: write: synoptic scan -o nmap-xml:scan.xml 127.0.0.1\n`},
	{"scan -oG- 127.0.0.1", 2, `write: synoptic scan -o grepable:- 127.0.0.1\n`},
	{"scan -oG - 127.0.0.1", 2, `write: synoptic scan -o grepable:- 127.0.0.1\n`},
	{"scan -oAout 127.0.0.1", 2, `write: synoptic scan -o nmap-xml:out.xml -o grepable:out.gnmap -o table:out.nmap 127.0.0.1\n`},
	{"scan -oLout 127.0.0.1", 2, `-o masscan-list:out`},
	{"scan -oJout.json 127.0.0.1", 2, `-o masscan-json:out.json`},
	{"scan -oout.jsonl 127.0.0.1 -p 22 --dry-run", 0, `^targets`},
	{"scan -o Xscan.xml 127.0.0.1 -p 22 --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 22 -o scan.csv --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 22 -o scan.xml --dry-run", 0, `^targets`},
	{"scan -no-stdin 127.0.0.1 -p 22 --dry-run", 0, `left out: -no-stdin\n`},
	{"scan -ec 127.0.0.1", 2, `-ec is naabu's: there is nothing like it`},
	{"scan -exclude-cdn 127.0.0.1", 2, `-exclude-cdn is naabu's`},
	{"scan -pts 50 127.0.0.1", 2, `-pts is naabu's: write --show-hosts`},
	{"scan -rev-ptr 127.0.0.1", 2, `-rev-ptr is naabu's`},
	{"scan -proxy-auth user:hunter2 127.0.0.1", 2, `-proxy-auth is naabu's[^2]*without it: synoptic scan 127.0.0.1\n$`},
	{"scan -sD 127.0.0.1", 2, `write --verify`},
	{"scan -ps 127.0.0.1", 2, `there is no host discovery`},
	{"scan -iL hosts.txt", 2, `-iL is nmap's: write -i hosts.txt`},
	{"scan -iR 100", 2, `-iR is nmap's: .*authorized`},
	{"scan -i lo 127.0.0.1", 2, `lo is an interface, not a file: write -e lo`},
	{"scan -host 127.0.0.1", 2, `targets are given without a flag.*write: synoptic scan 127.0.0.1\n`},
	{"scan -hosts 127.0.0.1", 2, `targets are given without a flag`},
	{"scan -hq 127.0.0.1", 2, `unknown flag -hq`},
	{"scan -r 1-100 127.0.0.1", 2, `1-100 is not a rate; for ports: write -p 1-100`},
	{"scan -r 22,80 127.0.0.1", 2, `for ports: write -p 22,80`},
	{"scan -r 127.0.0.1", 2, `127.0.0.1 is an address, not a rate`},
	{"scan 127.0.0.1 -o csv", 2, `csv is a format.*write -o csv:FILE`},
	{"scan 127.0.0.1 -o xml", 2, `write -o nmap-xml:FILE`},
	{"scan 127.0.0.1 -p 22 -open --dry-run", 0, `left out: -open\n`},

	// What is always so here.
	{"scan -sS 127.0.0.1 -p 22 --dry-run", 0, `always so here, and left out: -sS\n.*1 port`},
	{"scan -Pn -n --open --reason --randomize-hosts 127.0.0.1 -p 22 --dry-run", 0, `left out: -Pn, -n, --open, --reason, --randomize-hosts\n`},
	{"scan -sS -Pn -n -q 127.0.0.1 -p 22 --dry-run", 0, `^targets`},
	{"scan -T3 127.0.0.1 -p 22 --dry-run", 0, `left out: -T3\n`},
	{"scan -v 127.0.0.1 -p 22 --dry-run", 0, `\nwindow .*\nseed `},
	{"scan -vv 127.0.0.1 -p 22 --dry-run", 0, `\nseed `},
	{"scan -v3 127.0.0.1", 2, `-v3 is nmap's: write -v`},
	{"scan -4 127.0.0.1 -p 22 --dry-run", 0, `1 address`},
	{"scan -6 127.0.0.1", 2, `none of them is IPv6`},
	{"scan -q 127.0.0.1 -p 22 --dry-run", 0, `1 address`},

	// What has another name.
	{"scan -sT 127.0.0.1", 2, `write: synoptic scan --backend connect 127.0.0.1`},
	{"scan -T4 127.0.0.1", 2, `-T4 is nmap's: write --rate auto`},
	{"scan -T 4 127.0.0.1", 2, `-T is nmap's: write --rate auto.*synoptic scan --rate auto 127.0.0.1\n`},
	{"scan -F 127.0.0.1", 2, `--top-ports 100`},
	{"scan -sV 127.0.0.1", 2, `write --verify \(banners only`},
	{"scan -sC 127.0.0.1", 2, `write --verify`},
	{"scan -sCV 127.0.0.1", 2, `-sC is nmap's.*-sV is nmap's.*write: synoptic scan --verify`},
	{"scan -sSV 127.0.0.1", 2, `-sV is nmap's.*write: synoptic scan --verify 127.0.0.1`},
	{"scan -A 127.0.0.1", 2, `write --verify`},
	{"scan --banners 127.0.0.1", 2, `--banners is masscan's: write --verify`},
	{"scan --excludefile never.txt 127.0.0.1", 2, `write --exclude-file never.txt`},
	{"scan --max-rate 1000 127.0.0.1 -p 22 --dry-run", 0, `1k pps until something answers, then 100 pps to 1k pps: automatic, at most what was allowed`},
	{"scan --min-rate 20k 127.0.0.1 -p 22 --dry-run", 0, `20k pps until something answers, then 20k pps to 20k pps: automatic, at most all of it in a second`},
	{"scan --max-rate=1000 127.0.0.1 -p 22 --dry-run", 0, `100 pps to 1k pps`},
	{"scan --max-rate 1000 --rate 500 127.0.0.1", 2, `--max-rate is about a rate that is found out, and --rate is not auto\nhint: give it with --rate auto, or --rate alone\n`},
	{"scan --max-pps 1000 127.0.0.1", 2, `write --rate 1000`},
	{"scan -B 10M 127.0.0.1", 2, `-B is zmap's: write --bandwidth 10M`},
	{"scan --json 127.0.0.1 --dry-run", 0, `"plan":1`},
	{"scan -json 127.0.0.1", 2, `-json needs two dashes`},
	{"scan -j 127.0.0.1", 2, `-j is naabu's: write --json`},
	{"scan -silent 127.0.0.1", 2, `write -q`},
	{"scan --host 127.0.0.1 -p 80", 2, `write: synoptic scan 127.0.0.1 -p 80`},
	{"scan -l hosts.txt", 2, `write -i hosts.txt`},
	{"scan -list hosts.txt", 2, `write -i hosts.txt`},
	{"scan -a 127.0.0.1", 2, `-a is RustScan's`},
	{"scan -g 53 127.0.0.1", 2, `write --source-port 53`},
	{"scan -S 127.0.0.1 127.0.0.2", 2, `write: synoptic scan --source-ip 127.0.0.1 127.0.0.2`},
	{"scan --adapter-ip 127.0.0.1 127.0.0.2", 2, `write --source-ip 127.0.0.1`},
	{"scan --adapter lo 127.0.0.1", 2, `write -e lo`},
	{"scan --router-mac 02:00:00:00:00:01 127.0.0.1", 2, `write --gateway-mac 02:00:00:00:00:01`},
	{"scan --max-retries 1 127.0.0.1", 2, `write --retries 1`},
	{"scan --retry 1 127.0.0.1", 2, `write --retries 1`},
	{"scan -c scan.conf 127.0.0.1", 2, `write --profile scan.conf`},
	{"scan -c 8 127.0.0.1", 2, `-c is zmap's: write --wait 8s`},
	{"scan --wait 2 127.0.0.1", 2, `--wait 2: a duration with its unit.*hint: write 2s\n`},
	{"scan --wait 5 127.0.0.1", 2, `hint: write 5s\n`},
	{"scan --exclude-ports 80 127.0.0.1 -p 80,81 --dry-run", 0, `1 port\b`},
	{"scan --exclude-port 80 127.0.0.1", 2, `write: synoptic scan --exclude-ports 80 127.0.0.1|did you mean --exclude-ports`},
	{"scan --tries 3 127.0.0.1", 2, `--tries 3 there is --retries 2 here`},
	{"scan --dport 80 127.0.0.1", 2, `write -p 80`},
	{"scan --src-ip 127.0.0.1 127.0.0.2", 2, `write --source-ip 127.0.0.1`},
	{"scan --scan-order Random 127.0.0.1 -p 22 --dry-run", 0, `left out: --scan-order\n`},
	{"scan --scan-order serial 127.0.0.1", 2, `the order is random`},
	{"scan -a 127.0.0.1 -r 1-1000", 2, `write: synoptic scan 127.0.0.1 -p 1-1000\n`},
	{"scan 127.0.0.1 -- -A", 2, `"-A"`},
	{"scan -u 5000 127.0.0.1", 2, `-u is RustScan's: --rate is all`},
	{"scan --packet-trace 127.0.0.1", 2, `-o pcapng:`},
	{"scan --port 80 127.0.0.1", 2, `write -p 80`},
	{"scan -top-ports 100 127.0.0.1", 2, `-top-ports needs two dashes.*--top-ports 100`},
	{"scan -rate 1000 127.0.0.1", 2, `-rate needs two dashes`},
	{"scan -tp 100 127.0.0.1", 2, `write --top-ports 100`},
	{"scan -iface lo 127.0.0.1", 2, `write -e lo`},
	{"scan -w list.txt -b block.txt", 2, `-w is zmap's.*-b is zmap's.*write: synoptic scan -i list.txt --exclude-file block.txt`},
	{"scan --shards 2/4 --seed 1 127.0.0.1", 2, `write --shard 2/4`},

	// What there is not.
	{"scan -sU 127.0.0.1", 2, `-sU is nmap's: only TCP is scanned\nhint: without it: synoptic scan 127.0.0.1`},
	{"scan -sn 127.0.0.1", 2, `there is no ping scan`},
	{"scan --resume scan.state", 2, `cannot be resumed`},
	{"scan --iflist", 2, `--dry-run shows`},
	{"scan --host-timeout 30m 127.0.0.1", 2, `no host holds the others up`},
	{"scan --ttl 5 127.0.0.1", 2, `--syn-profile`},
	{"scan -D 10.0.0.1 127.0.0.1", 2, `plain SYN packets.*without it: synoptic scan 127.0.0.1`},
	{"scan -O 127.0.0.1", 2, `operating systems are not detected`},
	{"scan --script default 127.0.0.1", 2, `no scripts`},
	{"scan -PS22 127.0.0.1", 2, `no host discovery`},
	{"scan -d 127.0.0.1", 2, `no debug output`},
	{"scan -d9 127.0.0.1", 2, `no debug output.*without it: synoptic scan 127.0.0.1`},

	// Ports.
	{"scan 127.0.0.1 -p T:80 --dry-run", 0, `1 port`},
	{"scan 127.0.0.1 -p T:80,443 --dry-run", 0, `2 ports`},
	{"scan 127.0.0.1 -p U:53", 2, `only TCP`},
	{"scan 127.0.0.1 -p all", 2, `for all ports write --ports "-"`},
	{"scan 127.0.0.1 -p full", 2, `for all ports`},
	{"scan 127.0.0.1 -p *", 2, `for all ports`},
	{"scan 127.0.0.1 22", 2, `22 is not a target\nhint: did you mean -p 22\?`},
	{"scan 127.0.0.1 80,443", 2, `did you mean -p 80,443\?`},
	{"scan 127.0.0.1 1-1000", 2, `did you mean -p 1-1000\?`},
	{"scan 127.0.0.1 -p22 --dry-run", 0, `1 port`},
	{"scan 127.0.0.1 -p22,80 --dry-run", 0, `2 ports`},
	{"scan 127.0.0.1 -p 1-100 --dry-run", 0, `100 ports`},
	{"scan 127.0.0.1 -p80-89 --dry-run", 0, `10 ports`},
	{"scan 127.0.0.1 -p 80/tcp --dry-run", 0, `1 port`},
	{"scan 127.0.0.1 -p 53/udp", 2, `only TCP`},
	{"scan 127.0.0.1 -p any", 2, `for all ports`},
	{"scan 127.0.0.1 -p- --dry-run", 0, `65,535 ports`},
	{"scan 127.0.0.1 -p -1000 --dry-run", 0, `1,000 ports`},
	{"scan 127.0.0.1 -p 60000- --dry-run", 0, `5,536 ports`},
	{"scan 127.0.0.1 -p http,https --dry-run", 0, `2 ports`},
	{"scan 127.0.0.1 --top-ports 100 --dry-run", 0, `100 ports`},
	{"scan 127.0.0.* -p 22 --dry-run", 0, `25[56] addresses`},
	{"scan 127.0.0.1,127.0.0.2 -p 22 --dry-run", 0, `2 addresses`},
	{"scan 127.0.0.1,2,3 -p 22 --dry-run", 0, `3 addresses`},
	{"scan 127.0.0-1.1-4 -p 22 --dry-run", 0, `8 addresses`},
	{"scan 127.0.0.1-9 -p 22 --dry-run", 0, `9 addresses`},
	{"scan 127.0.0.0/24:22 --dry-run", 0, `25[56] addresses`},

	// Help, version, mistyped commands.
	{"scan help", 0, `Usage:\n  synoptic scan`},
	{"scan --version", 0, `synoptic version`},
	{"scan -V", 0, `synoptic version`},
	{"scan version", 0, `synoptic version`},
	{"-V", 0, `synoptic version`},
	{"version", 0, `synoptic version`},
	{"help scan", 0, `Usage:\n  synoptic scan`},
	{"help exitcodes", 2, `did you mean: synoptic help exit-codes`},
	{"help nosuch", 2, `there is help about .*scan`},
	{"masscan 127.0.0.0/24 -p80,443 --rate 1000", 2, `to scan, write: synoptic scan 127.0.0.0/24 -p80,443 --rate 1000\n`},
	{"masscan -p0-65535 127.0.0.1 --max-rate 100k", 2, `to scan, write: synoptic scan .*--max-rate 100k\n`},
	{"zmap -p 443 -B 10M 127.0.0.0/24", 2, `to scan, write: synoptic scan -p 443 --bandwidth 10M 127.0.0.0/24\n`},
	{"naabu -host 127.0.0.1 -p 80 -silent", 2, `to scan, write: synoptic scan 127.0.0.1 -p 80 -q\n`},
	{"rustscan -a 127.0.0.1 -r 1-1000", 2, `to scan, write: synoptic scan 127.0.0.1 -p 1-1000\n`},
	{"nmap -sS 127.0.0.1", 2, `to scan, write: synoptic scan 127.0.0.1\n`},
	{"-p 80 127.0.0.1", 2, `a command is missing\nhint: to scan, write: synoptic scan -p 80 127.0.0.1\n`},
	{"help exit-codes", 0, `refused before the first probe`},
	{"scan -help", 0, `Usage:`},
	{"scna 127.0.0.1", 2, `did you mean: synoptic scan`},
	{"127.0.0.1 -p 80", 2, `to scan, write: synoptic scan 127.0.0.1 -p 80\n`},
	{"-sS -oX out.xml 127.0.0.1", 2, `to scan, write: synoptic scan -o nmap-xml:out.xml 127.0.0.1\n`},
	{"scan convert scan.jsonl", 2, `convert is a command, not a target`},

	// Typing mistakes.
	{"scan --rats 10k 127.0.0.1", 2, `unknown flag --rats\nhint: did you mean --rate\?`},
	{"scan --prots 80 127.0.0.1", 2, `did you mean --ports\?`},
	{"scan --exclude_file x 127.0.0.1", 2, `did you mean --exclude-file\?`},
	{"scan --Rate 10k 127.0.0.1", 2, `did you mean --rate\?`},
	{"scan --interf lo 127.0.0.1", 2, `did you mean --interface\?`},
	{"scan --dryrun 127.0.0.1", 2, `write --dry-run|did you mean --dry-run`},
	{"scan --verfiy --rats 10k 127.0.0.1", 2, `unknown flag --verfiy.*unknown flag --rats.*write: synoptic scan --verify --rate 10k 127.0.0.1`},
	{"scan --ratelimit 10k 127.0.0.1", 2, `^synoptic: unknown flag --ratelimit\nhint: see`},
	{"scan --opne 127.0.0.1", 2, `unknown flag --opne`},
	{"scan --threads 5 127.0.0.1", 2, `unknown flag --threads: .*write: synoptic scan --lanes 5 127.0.0.1`},
	{"scan --stats-every 5s 127.0.0.1 -p 22 --dry-run", 0, `left out: --stats-every\n.*1 address\b`},
	{"scan --top-ports full 127.0.0.1", 2, `write: synoptic scan -p - 127.0.0.1`},
	{"scan --scope 10.0.0.0/8 127.0.0.1", 2, `is no file\nhint: give the name of a file`},
	{"scan --hec-token hunter2 127.0.0.1", 2, `^synoptic: unknown flag --hec-token\nhint: did you mean --hec-token-file\? no flag takes a secret[^2]*$`},
	{"scan --hec-token=hunter2 -T4 127.0.0.1", 2, `unknown flag --hec-token\n.*no flag takes a secret[^2]*$`},
	{"scan -hec-token hunter2 127.0.0.1", 2, `unknown flag -hec-token\nhint[^2]*$`},
	{"scan --elastic-passwrd-file hunter2 -T4 127.0.0.1", 2, `did you mean --elastic-password-file[^2]*$`},
	{"scan --elastic-passwrd hunter2 -F 127.0.0.1", 2, `unknown flag --elastic-passwrd\n.*hint: see synoptic scan --help\n$`},
	{"--hec-token hunter2 127.0.0.1", 2, `to scan, write: synoptic scan \[flags\] TARGET\.\.\.\n$`},
	{"scan --nonsense 127.0.0.1", 2, `unknown flag --nonsense\nhint: see synoptic scan --help`},
	{"scan -Z 127.0.0.1", 2, `unknown flag -Z\nhint: see synoptic scan --help`},
	{"convert --ouptut x", 2, `did you mean --output\?`},
	{"convert -oX f scan.jsonl", 2, `write: synoptic convert -o nmap-xml:f scan.jsonl`},
	{"scan –p 22 127.0.0.1", 2, `"–p" begins with an en dash \(U\+2013\).*write: synoptic scan -p 22 127.0.0.1`},
	{"scan —rate 10k 127.0.0.1", 2, `an em dash.*synoptic scan --rate 10k 127.0.0.1`},
	{"scan –rate 10k 127.0.0.1", 2, `synoptic scan --rate 10k 127.0.0.1`},
	{"scan −p 22 127.0.0.1", 2, `a minus sign`},
	{"scan ‐p 22 127.0.0.1", 2, `U\+2010`},
	{"scan –oX out.xml 127.0.0.1", 2, `write: synoptic scan -o nmap-xml:out.xml 127.0.0.1`},
	{"scan 127.0.0.1 -p 1–100", 2, `"1–100" has an en dash.*write: synoptic scan 127.0.0.1 -p 1-100`},
	{"scan 127.0.0.1–127.0.0.9", 2, `write: synoptic scan 127.0.0.1-127.0.0.9`},
	{"scan “127.0.0.1”", 2, `a typographic quote`},
	{"scan 127.0.0.1\u200b -p 22", 2, `an invisible space`},
	{"scan --rate=50 k 127.0.0.1", 2, `one word.*write: synoptic scan --rate=50k 127.0.0.1`},
	{"scan --rate 50 kpps 127.0.0.1", 2, `write: synoptic scan --rate 50k 127.0.0.1`},
	{"scan -i 10.0.0.0/8", 2, `is an address, not a file`},
	{"scan hosts.txt", 2, `hosts.txt is a file, not a target.*synoptic scan -i hosts.txt`},
	{"scan 127.0.0.1 --exclude hosts.txt", 2, `is a file: write --exclude-file hosts.txt`},
	{"scan 127.0.0.1 --exclude-file 10.0.0.0/8", 2, `write --exclude 10.0.0.0/8`},

	// As expected.
	{"scan 127.0.0.1 -p 22 -e lo --dry-run", 0, `1 port`},
	{"scan 127.0.0.1 -p 22 --rate 100000 --dry-run", 0, `100k pps`},
	{"scan 127.0.0.1 -p 22 --source-port 53 -e lo --dry-run", 0, `:53-68 via lo`},
	{"scan 127.0.0.1 -p 22 -- --help", 2, `"--help"`},
}

func TestHabits(t *testing.T) {
	inOrder(t)
	clean(t)
	write(t, "hosts.txt", "127.0.0.1\n")
	raw := rawSockets(t)
	for _, s := range habitual {
		if !raw && s.code == 0 && strings.Contains(s.line, " -e lo") {
			continue // connect() leaves the interface to the kernel
		}
		s.line = strings.ReplaceAll(s.line, `\u200b`, "\u200b")
		if _, err := net.InterfaceByName("lo"); err != nil && regexp.MustCompile(`\blo\b`).MatchString(s.line) {
			continue // another system's loopback has another name
		}
		s.check(t)
	}
}

// Every flag of every row is refused with what to write, or left out with a word, with one dash as with two: a long name with one
// dash could be letters of ours.
func TestEveryHabit(t *testing.T) {
	inOrder(t)
	need.Long(t)
	clean(t)
	values := map[string]string{"": "x", number: "5", `[^0-9]`: "x", `/`: "1/4", `^(s|syn|S|SYN)$`: "syn", `^(c|connect|C|CONNECT)$`: "c", `(?i)^random$`: "random"}
	for _, h := range habits {
		value, known := values[h.only]
		if !known {
			t.Errorf("%s: no value for %s", h.flags, h.only)
		}
		for name := range strings.FieldsSeq(h.flags) {
			logs := logText
			if ours := command(t, newRootCommand(&stopper{}, nil, streams{}, &logs), "scan").Flags(); ours.Lookup(strings.TrimLeft(name, "-")) != nil || len(name) == 2 && ours.ShorthandLookup(name[1:]) != nil {
				continue // ours, which is not looked up here
			}
			names := []string{name}
			if strings.HasPrefix(name, "--") {
				names = append(names, name[1:])
			}
			for _, name := range names {
				line := "scan " + name
				if h.takes {
					line += " " + value
				}
				s := saying{line + " 127.0.0.1 -p 22 --dry-run", exitUsage, regexp.QuoteMeta(name + " is ")}
				if h.write == always {
					s.code, s.want = 0, `left out: `+regexp.QuoteMeta(name)+`\n`
				}
				s.check(t)
			}
		}
	}
}

// Without a target it is said how to give one.
func TestNoTarget(t *testing.T) {
	clean(t)
	for _, line := range []string{"scan", "scan -"} {
		saying{line, 2, `hint: `}.check(t)
	}
}

// Every row of the table proposes flags that there are, each name stands in one row for a value, and none is one of ours.
func TestHabitsTable(t *testing.T) {
	logs := logText
	root := newRootCommand(&stopper{}, nil, streams{}, &logs)
	scan := command(t, root, "scan")
	seen := map[string]string{}
	for _, h := range habits {
		if h.write == "" && h.why == "" || h.of == "" || h.flags == "" {
			t.Errorf("%+v says nothing", h)
		}
		regexp.MustCompile(h.only)
		for name := range strings.FieldsSeq(h.flags) {
			if seen[name] == "for any value" {
				t.Errorf("%s stands in a row that is never reached", name)
			}
			if seen[name] = h.only; h.only == "" {
				seen[name] = "for any value"
			}
			if name[0] != '-' || strings.HasPrefix(name, "--") && len(name) < 4 {
				t.Errorf("%q is no flag", name)
			}
		}
		r := read(scan, h.instead("x"))
		for _, f := range r.faults {
			if !strings.Contains(h.write, "exclude-ports") && !strings.Contains(f.message, "format") {
				t.Errorf("%s: what is proposed is refused: %s", h.flags, f.message)
			}
		}
	}
}

func command(t *testing.T, root *cobra.Command, name string) *cobra.Command {
	t.Helper()
	for _, c := range root.Commands() {
		if c.Name() == name {
			return c
		}
	}
	t.Fatalf("no command %s", name)
	return nil
}

func TestNearest(t *testing.T) {
	names := []string{"rate", "retries", "ports", "top-ports", "exclude", "exclude-file", "nmap-xml", "jsonl", "masscan-json", "masscan-list", "open"}
	for word, want := range map[string]string{
		"rats": "rate", "raet": "rate", "RATE": "rate", "rte": "rate", "ratee": "rate", "prots": "ports", "port": "ports", "exclude_file": "exclude-file",
		"exclud": "exclude", "retires": "retries", "json": "jsonl", "xml": "nmap-xml", "nmap": "nmap-xml", "opened": "open", "opne": "open",
		"masscan": "", "zzz": "", "": "", "x": "", "completely": "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
