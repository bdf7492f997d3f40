package main

import (
	"bufio"
	"encoding/json"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"synoptic/bench/lab/need"
)

// withoutJSON are the commands that have no --json, each with why.
var withoutJSON = map[string]string{
	"synoptic":           "it shows its help",
	"synoptic inventory": "likewise",
	"synoptic policy":    "likewise",
	"synoptic help":      "help is for people",
	"synoptic man":       "a man page is for people",
	"synoptic monitor":   "its records are JSON lines wherever they go",
	"synoptic report":    "it writes a page for people; what is in it is in the records, and in synoptic inventory export",
}

// jsonLines are command lines that show something, by command.
var jsonLines = map[string]string{
	"scan":               "127.0.0.1 -p 1 --backend connect --dry-run",
	"convert":            "a.jsonl",
	"diff":               "a.jsonl b.jsonl -q",
	"history":            "i.db 10.0.0.1",
	"listeners":          "--compare i.db",
	"check":              "p.yaml a.jsonl",
	"check --explain":    "10.0.0.1:22 p.yaml a.jsonl",
	"policy lint":        "p.yaml a.jsonl",
	"policy init":        "a.jsonl",
	"ports":              "--top 3",
	"ctl":                "s.sock status",
	"monitor now":        "10.0.0.1 --control s.sock",
	"version":            "",
	"inventory import":   "i.db a.jsonl",
	"inventory export":   "i.db",
	"inventory stats":    "i.db",
	"inventory prune":    "i.db",
	"inventory ack":      "i.db",
	"inventory baseline": "i.db last",
}

// Every command has --json, or a reason for having none, and what it then shows is a line of JSON each.
func TestEveryCommandHasJSON(t *testing.T) {
	twoDays(t)
	write(t, "p.yaml", "version: 1\nrules:\n  - {name: unused, to: 10.9.0.0/16, allow: {ports: [1]}}\n  - {name: never, to: any, deny: {ports: [22]}}\n")
	answers(t, "s.sock")
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		has := cmd.Flags().Lookup("json") != nil
		_, excepted := withoutJSON[path]
		_, line := jsonLines[strings.TrimPrefix(path, "synoptic ")]
		switch {
		case cmd.IsAdditionalHelpTopicCommand(), strings.HasPrefix(path, "synoptic completion"):
		case has && excepted, !has && !excepted, has && !line:
			t.Errorf("%s: --json: %v; among those that need none: %v; a command line to try it: %v", path, has, excepted, line)
		}
		for _, c := range cmd.Commands() {
			check(c)
		}
	}
	logs := logText
	check(newRootCommand(&stopper{}, nil, streams{}, &logs))
	id := regexp.MustCompile(`"event_id":"(\w+)"`).FindStringSubmatch(answer(t, "diff", "--inventory", "i.db").stdout)
	if o := answer(t, "inventory", "ack", "i.db", id[1], "--note", "SEC-1"); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	for command, line := range jsonLines {
		o := answer(t, strings.Fields(command+" "+line+" --json")...)
		if o.code != 0 && o.code != exitFound || o.stdout == "" && command != "listeners" {
			t.Errorf("%s: exit %d, %s%s", command, o.code, o.stdout, o.stderr)
		}
		for l := range strings.Lines(o.stdout) {
			if !json.Valid([]byte(l)) || l[0] != '{' {
				t.Errorf("%s: no JSON: %s", command, l)
			}
		}
	}
	if o := answer(t, "ctl", "s.sock", "rate", "-1"); o.code != 0 {
		t.Errorf("a number below zero is taken for a flag: exit %d, %s", o.code, o.stderr)
	}
	write(t, "made.json", answer(t, "policy", "init", "a.jsonl", "--json").stdout)
	if o := answer(t, "check", "made.json", "a.jsonl"); o.code != 0 {
		t.Errorf("a policy of JSON: exit %d, %s%s", o.code, o.stdout, o.stderr)
	}
}

// On a terminal it is JSON all the same.
func TestJSONOnTerminal(t *testing.T) {
	need.Long(t)
	program(t) // which is built from here
	twoDays(t)
	write(t, "p.yaml", "version: 1\nrules:\n  - {name: never, to: any, deny: {ports: [22]}}\n")
	answers(t, "s.sock")
	for command, line := range jsonLines {
		if command == "policy init" || command == "listeners" { // which is no table; which warns
			continue
		}
		said, code := onTerminal(t, strings.Fields(command+" "+line+" --json")...)
		for l := range strings.Lines(said) {
			if l := strings.TrimRight(l, "\r\n"); !json.Valid([]byte(l)) || l[0] != '{' {
				t.Errorf("%s: exit %d, no JSON: %s", command, code, l)
			}
		}
	}
}

// answers is a socket on which a scan seems to listen.
func answers(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				_, _ = c.Write([]byte(`{"ok":true}` + "\n"))
			}
			c.Close()
		}
	}()
}
