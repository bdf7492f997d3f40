package main

import (
	"regexp"
	"strings"
)

// habit is a flag of another scanner, and what stands for it here.
type habit struct {
	of    string // whose flag it is
	flags string // its names
	takes bool   // a value follows it there
	write string // what to write here, $ being the value; always: nothing, it is so anyway; "": nothing is like it
	why   string // a remark on that
	only  string // a regular expression: the row is for such values only
}

const (
	always = "="
	number = `^[0-9]+$`
)

// habits is the table of them. A name that is one of ours, too, is not looked up here. Long names count with one
// dash as with two. Sources: the manuals of nmap 7.93, masscan 1.3.2, zmap 2.1.1 and 4, naabu 2.3 and RustScan 2.4.
var habits = []habit{
	// What to scan.
	{"nmap", "-iL", true, "-i $", "", ""},
	{"nmap", "-iR", true, "", "targets are never chosen at random; name what you are authorized to scan", ""},
	{"masscan", "--includefile --include-file", true, "-i $", "", ""},
	{"masscan", "--range --ranges --ip --target --targets --target-ip --dest-ip --destination-ip --dst-ip --include", true, "$", "targets are given without a flag", ""},
	{"naabu", "--host --hosts", true, "$", "targets are given without a flag", ""},
	{"naabu", "--list -l", true, "-i $", "", ""},
	{"RustScan", "--addresses --address -a", true, "$", "targets are given without a flag", ""},
	{"zmap", "--allowlist-file --whitelist-file --list-of-ips-file --input-file -w -I", true, "-i $", "--scope names what is authorized", ""},
	{"nmap", "--excludefile", true, "--exclude-file $", "", ""},
	{"zmap", "--blocklist-file --blacklist-file", true, "--exclude-file $", "", ""},
	{"zmap", "-b", true, "--exclude-file $", "", `[^0-9]`},
	{"masscan", "--exclude-ip --exclude-ipv4 --exclude-range --exclude-ranges", true, "--exclude $", "", ""},
	{"naabu", "--exclude-hosts -eh", true, "--exclude $", "", ""},
	{"naabu", "-ef", true, "--exclude-file $", "", ""},
	{"RustScan", "--exclude-addresses -x", true, "--exclude $", "", ""},
	{"nmap", "--resolve-all", false, always, "", ""},
	{"naabu", "--scan-all-ips -sa", false, always, "", ""},
	{"nmap", "-n --system-dns", false, always, "", ""},
	{"nmap", "-R", false, "", "addresses are not looked up by name", ""},
	{"nmap", "--dns-servers", true, "", "names are resolved by the system's resolver", ""},
	{"nmap", "--unique", false, always, "", ""},
	{"nmap", "-6", false, always, "IPv6 targets are given like others", ""},
	{"naabu", "--ip-version -iv", true, "", "IPv6 targets are given like others", ""},
	{"naabu", "--exclude-cdn -ec --display-cdn -cdn --rev-ptr", false, "", "there is nothing like it; --exclude-file takes the prefixes of a CDN", ""},
	{"naabu", "--no-stdin", false, always, "", ""},
	{"naabu", "--input-read-timeout -irt", true, "", "standard input is read to its end, where - is given", ""},
	{"zmap", "--ignore-invalid-hosts", false, "", "a target that makes no sense is refused, with its file and line", ""},
	{"RustScan", "--resolver", true, "", "names are resolved by the system's resolver", ""},

	// Ports.
	{"nmap", "-F", false, "--top-ports 100", "", ""},
	{"naabu", "--port --target-port --target-ports --dest-port --destination-port --dst-port --dport --tcp-port --tcp-ports", true, "-p $", "", ""},
	{"naabu", "-tp", true, "--top-ports $", "", ""},
	{"naabu", "--ports-file -pf", true, "", "ports come from the command line or a --profile", ""},
	{"RustScan", "--top", false, "--top-ports 1000", "the default", ""},
	{"naabu", "-ep --exclude-port", true, "--exclude-ports $", "", ""},
	{"naabu", "--port-threshold -pts", true, "--show-hosts", "hosts that open implausibly many ports are marked suspect", ""},
	{"nmap", "--allports", false, always, "", ""},
	{"nmap", "--port-ratio", true, "", "ports are ranked, not measured: --top-ports N", ""},

	// How it scans.
	{"nmap", "-sS", false, always, "", ""},
	{"nmap", "-Pn -PN -P0 --disable-arp-ping", false, always, "", ""},
	{"nmap", "--open --reason --randomize-hosts", false, always, "", ""},
	{"masscan", "--open-only --append-output --noninteractive", false, always, "", ""},
	{"nmap", "-sT", false, "--backend connect", "", ""},
	{"nmap", "--unprivileged", false, "--backend connect", "", ""},
	{"nmap", "--privileged --send-eth --send-ip", false, always, "", ""},
	{"naabu", "-s --scan-type", true, always, "SYN scans are the default", `^(s|syn|S|SYN)$`},
	{"naabu", "-s --scan-type", true, "--backend connect", "", `^(c|connect|C|CONNECT)$`},
	{"nmap", "-sV -sC -A --version-all --version-light --osscan-guess --service-version --service-discovery -sD", false, "--verify", "banners only: there is no detection of versions or systems, and there are no scripts", ""},
	{"nmap", "--version-intensity --script --script-args --script-args-file --script-help --script-timeout --scripts", true, "--verify", "banners only: there are no scripts", ""},
	{"masscan", "--banners --banner --service-probe", false, "--verify", "", ""},
	{"nmap", "-O --osscan-limit", false, "", "operating systems are not detected", ""},
	{"nmap", "-sU --udp", false, "", "only TCP is scanned", ""},
	{"masscan", "--udp-port --udp-ports --oproto", true, "", "only TCP is scanned", ""},
	{"nmap", "-sY -sZ -sO", false, "", "only TCP is scanned", ""},
	{"nmap", "-sn -sP --ping -sp --ping-sweep --arpscan --host-discovery --with-host-discovery -wn", false, "--top-ports 100 --show open,closed", "there is no ping scan: a host that answers on any port is up", ""},
	{"nmap", "-sL", false, "--dry-run", "", ""},
	{"nmap", "-sA -sF -sX -sN -sM -sW -sR", false, "", "probes are SYN packets only", ""},
	{"nmap", "-sI -b --proxies --proxy --data --data-string --data-length --ip-options --mtu --spoof-mac -D --adapter-mac", true, "", "probes are plain SYN packets from this host", ""},
	{"nmap", "-f --badsum --adler32 --traceroute --nmap --passive --stream --fuzzy --script-trace --script-updatedb --regress --selftest --self-test --benchmark --heartbleed --ticketbleed --poodle --vuln", false, "", "there is nothing like it", ""},
	{"nmap", "--scanflags", true, "", "probes are SYN packets only", ""},
	{"nmap", "--nsock-engine --max-os-tries --blackrock-rounds --metrics-port -mp", true, "", "there is nothing like it", ""},
	{"naabu", "--probe-tcp-syn -ps --probe-tcp-ack -pa --probe-icmp-echo -pe --probe-icmp-timestamp -pp --probe-icmp-address-mask -pm --arp-ping -arp --nd-ping -nd", false, "", "there is no host discovery, every target is probed", ""},
	{"masscan", "--nmap-payload --nmap-payloads --pcap-payload --pcap-payloads --nmap-service-probe --nmap-service-probes --connect-payload -cp", true, "", "probes are plain SYN packets from this host", ""},
	{"masscan", "--adapter-vlan", true, "", "a VLAN has an interface of its own: -e eth0.100", ""},
	{"naabu", "--proxy-auth", true, "", "probes are plain SYN packets from this host", ""},
	{"zmap", "--probe-module -M --output-fields --output-filter --probe-args", true, "", "probes are TCP SYN packets; all fields are written", ""},
	{"nmap", "--ttl --probe-ttl", true, "", "the TTL is that of --syn-profile: 64, or 128 with windows", ""},
	{"zmap", "--vpn --iplayer -X", false, always, "", ""},

	// Rate and waiting.
	{"nmap", "--max-pps --min-packet --min-pkt", true, "--rate $", "", ""},
	{"zmap", "-B", true, "--bandwidth $", "", ""},
	{"nmap", "-T0", false, "--rate 0.003", "a probe in 5 minutes", ""},
	{"nmap", "-T1", false, "--rate 0.06", "a probe in 15 seconds", ""},
	{"nmap", "-T2", false, "--rate 2.5", "", ""},
	{"nmap", "-T3", false, always, "", ""},
	{"nmap", "-T4", false, "--rate auto", "the default", ""},
	{"nmap", "-T5", false, "--rate 50k", "", ""},
	{"nmap", "-T", true, "--rate auto", "or probes per second", ""},
	{"nmap", "--timing", true, "--rate auto", "or probes per second", ""},
	{"nmap", "--scan-delay --max-scan-delay", true, "", "--rate 1 is one probe a second", ""},
	{"nmap", "--max-retries --max-retry --retry --max-tries", true, "--retries $", "", ""},
	{"zmap", "--probes -P", true, "", "--retries counts the probes after the first: -P 3 there is --retries 2 here", number},
	{"RustScan", "--tries", true, "", "--retries counts the probes after the first: --tries 3 there is --retries 2 here", ""},
	{"nmap", "--initial-rtt-timeout --min-rtt-timeout --max-rtt-timeout --timeout --connection-timeout --tcp-timeout -t", true, "", "time-outs follow the round trips; --wait and --retry-gap bound them", ""},
	{"nmap", "--host-timeout --max-runtime", true, "", "no host holds the others up; Ctrl-C ends a scan with what it has", ""},
	{"nmap", "--min-parallelism --max-parallelism --min-hostgroup --max-hostgroup --batch-size --ulimit", true, "", "--rate is all that bounds a scan", ""},
	{"nmap", "--defeat-rst-ratelimit --defeat-icmp-ratelimit --discovery-ignore-rst --release-memory", false, always, "", ""},
	{"zmap", "--cooldown-time --cooldown", true, "--wait $s", "", number},
	{"zmap", "-c", true, "--wait $s", "", number},
	{"zmap", "--sender-threads", true, "--lanes $", "", number},
	{"zmap", "--cores", true, "", "the system places the threads", ""},
	{"zmap", "--max-targets --max-results -N", true, "", "a scan ends when every target was probed; --shard takes a part", ""},
	{"zmap", "--max-sendto-failures --min-hitrate", true, "", "a scan that loses its evidence says so by exit code 4, and --min-coverage asks for a share", ""},
	{"RustScan", "--scan-order", true, always, "", `(?i)^random$`},
	{"RustScan", "--scan-order", true, "", "the order is random; --seed repeats one", ""},
	{"masscan", "--infinite", false, "", "a scan ends; repeat it by a timer", ""},
	{"masscan", "--shards", true, "--shard $", "with the same --seed everywhere", `/`},
	{"zmap", "--shards", true, "--shard 1/$", "with the same --seed everywhere", number},
	{"naabu", "--warm-up-time", true, "", "there is nothing to warm up", ""},

	// The way out.
	{"masscan", "--adapter --iface", true, "-e $", "", ""},
	{"nmap", "-S --adapter-ip --spoof-ip --spoof-address --source-addr --source-address --src-ip", true, "--source-ip $", "", ""},
	{"nmap", "-g --adapter-port --src-port --sourceport", true, "--source-port $", "", number},
	{"zmap", "-s", true, "--source-port $", "", number},
	{"masscan", "--router-mac --router-mac-ipv4 --dest-mac --dst-mac --destination-mac --target-mac", true, "--gateway-mac $", "", ""},
	{"zmap", "-G", true, "--gateway-mac $", "", ""},
	{"masscan", "--router --router-ip --router-ipv4", true, "", "next hops come from the routing table", ""},
	{"zmap", "--source-mac --src-mac", true, "", "frames carry the interface's own MAC address", ""},
	{"nmap", "--iflist --interface-list -il", false, "", "ip addr and ip route list them; --dry-run shows what a scan takes", ""},

	// Output.
	{"nmap", "-oX", true, "-o nmap-xml:$", "", ""},
	{"nmap", "-oG", true, "-o grepable:$", "", ""},
	{"nmap", "-oN -oS", true, "-o table:$", "", ""},
	{"nmap", "-oA", true, "-o nmap-xml:$.xml -o grepable:$.gnmap -o table:$.nmap", "", ""},
	{"masscan", "-oJ", true, "-o masscan-json:$", "", ""},
	{"masscan", "-oD", true, "-o jsonl:$", "", ""},
	{"masscan", "-oL", true, "-o masscan-list:$", "", ""},
	{"masscan", "-oB", true, "-o jsonl:$", "synoptic convert makes the other formats of it", ""},
	{"masscan", "-oU", true, "-o list:$", "", ""},
	{"masscan", "--output-format", true, "", "the format is written before the file: -o nmap-xml:FILE, or is taken from its ending", ""},
	{"masscan", "--output-filename --output-file", true, "-o $", "", ""},
	{"masscan", "--output-append", false, always, "", ""},
	{"masscan", "--overwrite", false, "", "files are appended to; nmap-xml and masscan-json are rewritten", ""},
	{"masscan", "--output-show --output-status", true, "--show $", "", ""},
	{"masscan", "--output-show-open", false, always, "", ""},
	{"masscan", "--nostatus", false, "-q", "", ""},
	{"zmap", "--list-output-modules --list-output-fields --list-probe-modules", false, "", "synoptic help outputs has the formats", ""},
	{"naabu", "--exclude-output-fields -eof --output-args", true, "", "every format has its own fields: synoptic help outputs", ""},
	{"zmap", "--output-module", true, "", "the format is written before the file: -o csv:FILE, or is taken from its ending", ""},
	{"naabu", "-j", false, "--json", "", ""},
	{"naabu", "--csv", false, "-o csv:-", "", ""},
	{"naabu", "--silent", false, "-q", "", ""},
	{"naabu", "--stats", false, always, "", ""},
	{"nmap", "--stats-every --stats-interval -si", true, always, "", ""},
	{"RustScan", "-g --greppable --grepable", false, "-o list:-", "", ""},
	{"masscan", "--pcap --pcap-filename", true, "-o pcapng:$", "", ""},
	{"nmap", "--packet-trace", false, "-o pcapng:replies.pcapng", "replies, each with its verdict", ""},
	{"nmap", "--stylesheet", true, "", "nmap-xml goes with any style sheet of nmap's", ""},
	{"nmap", "--webxml --no-stylesheet", false, always, "", ""},
	{"masscan", "--readscan --readrange --readranges --read-range --read-ranges", true, "", "synoptic convert reads the JSON lines of earlier scans", ""},
	{"masscan", "--rotate --rotate-dir --rotate-directory --rotate-size --rotate-offset --rotate-time --output-rotate --rotate-output", true, "", "logrotate does it: SIGHUP reopens the files", ""},
	{"zmap", "--metadata-file -m --status-updates-file --user-metadata --notes --log-file --log-directory -L", true, "", "scan_start and scan_end hold it, and --log-format json the messages", ""},

	// The rest.
	{"zmap", "-u", true, "", "scan_start and scan_end hold it, and --log-format json the messages", `[^0-9]`},
	{"RustScan", "-u", true, "", "--rate is all that bounds a scan", number},
	{"zmap", "--disable-syslog --summary", false, always, "", ""},

	{"nmap", "--resume", true, "", "a scan cannot be resumed; --shard splits a long one", ""},
	{"masscan", "--resume-index --resume-count", true, "", "a scan cannot be resumed; --shard splits a long one", ""},
	{"masscan", "--conf --config --config-path -C -c", true, "--profile $", "a YAML file with the names of the flags", `[^0-9]`},
	{"RustScan", "--no-config --no-banner --accessible --no-nmap", false, always, "", ""},
	{"masscan", "--interactive --nointeractive", false, always, "", ""},
	{"naabu", "--dashboard -pd --dashboard-upload -pdu", false, "", "there is nothing like it", ""},
	{"masscan", "--echo --offline --nosend --notransmit --dryrun --test", false, "--dry-run", "", ""},
	{"nmap", "-d --debug --version-trace --log-errors", false, "", "there is no debug output", ""},
	{"nmap", "-v2 -v3 -v4 -v5 -v6 -v7 -v8 -v9", false, "-v", "", ""},
	{"nmap", "-v --verbose", false, "", "warnings are always shown, and --log-format json says more", ""},
	{"zmap", "--verbosity", true, "", "warnings are always shown, and --log-format json says more", ""},
	{"naabu", "--no-color -nc", false, always, "NO_COLOR=1 in the environment", ""},
	{"naabu", "--update -up --health-check -hc --disable-update-check -duc", false, "", "there is nothing like it", ""},
	{"nmap", "--datadir --servicedb --versiondb --nmap-cli", true, "", "there is nothing like it", ""},
	{"masscan", "--http-user-agent --hello --capture --source-port-range", true, "", "there is nothing like it", ""},
}

// habitOf finds a flag of another scanner with the value that was given to it, if any.
func habitOf(flag, value string) (habit, bool) {
	for _, h := range habits {
		for name := range strings.FieldsSeq(h.flags) {
			if name == flag && (h.only == "" || regexp.MustCompile(h.only).MatchString(value)) {
				return h, true
			}
		}
	}
	return habit{}, false
}

// instead is what to write for it.
func (h habit) instead(value string) []string {
	if value == "" {
		value = map[bool]string{true: "FILE", false: "VALUE"}[strings.HasPrefix(h.write, "-o") || strings.HasPrefix(h.write, "-i")]
	}
	var words []string
	for w := range strings.FieldsSeq(h.write) {
		words = append(words, strings.ReplaceAll(w, "$", value))
	}
	return words
}

// message says whose flag it is and what stands for it.
func (h habit) message(flag, value string) string {
	says := flag + " is " + h.of + "'s: "
	if h.write != "" {
		says += "write " + shellLine(recordable(h.instead(value)))
		if h.why != "" {
			says += " (" + h.why + ")"
		}
		return says
	}
	return says + h.why
}
