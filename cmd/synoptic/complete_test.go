package main

import (
	"net"
	"slices"
	"strings"
	"testing"
)

// A shell is proposed the values of flags.
func TestCompletion(t *testing.T) {
	clean(t)
	write(t, "config/synoptic/nightly.yaml", "ports: 22\n")
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Skip("no interfaces: ", err)
	}
	for _, c := range []struct {
		line string // ∅ is an empty word
		want string // words of the answer
	}{
		{"scan --backend ∅", "auto afpacket xdp ebpf connect"},
		{"scan --syn-profile ∅", "mss linux windows none"},
		{"scan --show ∅", "open closed filtered unknown all"},
		{"scan --show open,", "open,closed open,all"},
		{"scan -o ∅", "jsonl: csv: nmap-xml: - syslog+tls:// hec+https:// unix:"},
		{"scan -o ecs:", "ecs:syslog+tls:// ecs:-"},
		{"scan -e ∅", links[0].Name},
		{"scan -p ∅", "http -"},
		{"scan -p 22,postg", "22,postgresql"},
		{"scan --top-ports ∅", "100 1000"},
		{"scan --log-format ∅", "text json"},
		{"scan --profile ∅", "nightly"},
		{"scan --exclude a --excl", "--exclude --exclude-file"},
		{"convert -o ∅", "csv: ecs:"},
		{"convert --show ∅", "open all"},
		{"man ∅", "scan convert"},
		{"ports ht", "http https"},
	} {
		o := answer(t, append([]string{"__complete"}, saying{line: c.line}.words()...)...)
		var words []string
		for line := range strings.Lines(o.stdout) {
			word, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
			words = append(words, word)
		}
		for want := range strings.FieldsSeq(c.want) {
			if !slices.Contains(words, want) {
				t.Errorf("%s: no %s among %v", c.line, want, words)
			}
		}
		if o.code != 0 {
			t.Errorf("%s: exit %d, %s", c.line, o.code, o.stderr)
		}
	}
	if o := answer(t, "__complete", "scan", ""); strings.Contains(o.stdout, "config") || !strings.Contains(o.stdout, ":4") {
		t.Errorf("targets are completed: %s", o.stdout)
	}
	if o := answer(t, "completion", "bash"); o.code != 0 || !strings.Contains(o.stdout, "__complete") {
		t.Errorf("no script for bash: %s", o.stderr)
	}
}
