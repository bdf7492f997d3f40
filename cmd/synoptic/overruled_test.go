package main

import (
	"os"
	"strings"
	"testing"
)

// What was asked for and comes to nothing is told, or refused; nothing is overruled without a word.
var overruled = []saying{
	{"scan 127.0.0.1 -p 80 --ca-file ca.pem --dry-run", 0, `--ca-file changes nothing: no output goes over TLS\n`},
	{"scan 127.0.0.1 -p 80 --client-cert c --client-key k -o syslog+tcp://127.0.0.1:9 --dry-run", 0, `--client-cert changes nothing.*--client-key changes nothing`},
	{"scan 127.0.0.1 -p 80 --hec-token-file t -o elastic+https://127.0.0.1:9 --dry-run", 0, `--hec-token-file changes nothing: no output is hec\+https\n`},
	{"scan 127.0.0.1 -p 80 --elastic-user u -o hec+https://127.0.0.1:9 --dry-run", 0, `--elastic-user changes nothing: no output is elastic\+https\n`},
	{"scan 127.0.0.1 -p 80 --elastic-api-key-file k --elastic-password-file p --dry-run", 0, `--elastic-api-key-file changes nothing.*--elastic-password-file changes nothing`},
	{"scan 127.0.0.1 -p 80 --dead-letters d -o x.jsonl --dry-run", 0, `--dead-letters changes nothing: no output is a receiver that could refuse records\n`},
	{"convert good.jsonl --ca-file ca.pem -o csv:x.csv", 0, `--ca-file changes nothing`},
	{"scan 127.0.0.1 -p 80 --ca-file ca.pem -o syslog+tls://127.0.0.1:9 --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 80 --ca-file ca.pem -o ecs:elastic+https://127.0.0.1:9/logs --dry-run", 0, `^targets`},
	{"scan 127.0.0.1 -p 80 --profile p.yaml --dry-run", 0, `^targets`}, // which other scans have a use for

	{"scan 127.0.0.1 -p 80 --backend connect --retries 5 --dry-run", 0, `warning +connect\(\) leaves retries and how they are sent to the kernel, and ignores --retries\n`},
	{"scan 127.0.0.1 -p 80 --backend connect --retries 0 --retry-gap 2s --batch 4 --dry-run", 0, `ignores --retries, --retry-gap, --batch\n`},
	{"scan 127.0.0.1 -p 80 --backend connect --dry-run", 0, `^targets.*attempts +by the kernel's connect\(\)`},
	{"scan 127.0.0.1 -p 80 --gateway-mac ff:ff:ff:ff:ff:ff", 2, `ff:ff:ff:ff:ff:ff is not the MAC address of an interface\nhint: give that of the gateway's own interface`},
	{"scan 127.0.0.1 -p 80 --gateway-mac 01:00:5e:00:00:01", 2, `is not the MAC address of an interface`},
	{"scan 127.0.0.1 -p 80 --gateway-mac 00:00:00:00:00:00", 2, `is not the MAC address of an interface`},
}

// Of raw packets, where these are permitted.
var overruledRaw = []saying{
	{"scan 127.0.0.1 -p 80 --source-ip 192.0.2.77", 2, `source address 192.0.2.77 is not an address of this host, and every target is: what this host answers to it would not come back\nhint: leave --source-ip out, or give an address of this host`},
	{"scan 127.0.0.1 -p 80 --source-ip 192.0.2.77 --spoof-source", 2, `every target is.*hint: leave --source-ip out`},
	{"scan 127.0.0.0/24 -p 80 --source-ip 192.0.2.77 --dry-run", 2, `every target is`},
	{"scan 127.0.0.1 -p 80 --source-ip 127.0.0.9 --dry-run", 0, `source +127.0.0.9:`},
	{"scan 127.0.0.1 -p 80 --source-ip 0.0.0.0", 2, `source address 0.0.0.0: not the address of a host\nhint: give an address of this host`},
	{"scan 127.0.0.1 -p 80 --source-ip 255.255.255.255 --spoof-source", 2, `not the address of a host`},
	{"scan 127.0.0.1 -p 80 --gateway-mac 02:00:00:00:00:01 --dry-run", 0, `--gateway-mac 02:00:00:00:00:01 changes nothing: no target is behind a gateway`},
	{"scan 127.0.0.1 -p 80 -e lo --dry-run", 0, `^targets.*via lo, this host`},
	{"scan 127.0.0.1 -p 80 --spoof-source --source-ip 127.0.0.9 --dry-run", 0, `--spoof-source changes nothing`},
}

func TestNothingIsOverruledSilently(t *testing.T) {
	clean(t)
	write(t, "good.jsonl", native(t, "aa", 1))
	write(t, "p.yaml", "ca-file: ca.pem\nhec-token-file: t\nelastic-user: u\ndead-letters: d\n")
	for _, s := range overruled {
		s.check(t)
		if o := answer(t, s.words()...); strings.HasPrefix(s.want, "^") && o.stderr != "" {
			t.Errorf("synoptic %s: %s", s.line, o.stderr)
		}
	}
	for _, env := range []string{"SYNOPTIC_CA_FILE=ca.pem", "SYNOPTIC_DEAD_LETTERS=d", "SYNOPTIC_HEC_TOKEN=x"} {
		name, value, _ := strings.Cut(env, "=")
		t.Setenv(name, value)
		if o := answer(t, "scan", "127.0.0.1", "-p", "80", "--dry-run"); o.code != 0 || o.stderr != "" {
			t.Errorf("%s: exit %d, %s", env, o.code, o.stderr)
		}
		os.Unsetenv(name)
	}
	if !rawSockets(t) {
		t.Skip("raw sockets are not permitted here")
	}
	for _, s := range overruledRaw {
		s.check(t)
	}
}
