package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What is known of secrets before anything else is looked at.
func TestSecretsAround(t *testing.T) {
	for _, c := range []struct {
		args, env string
		want      []string
		not       []string
	}{
		{"scan 10.0.0.1 -p 22", "", nil, []string{"10.0.0.1", "scan"}},
		{"scan --hec-token tok-1 10.0.0.1", "", []string{"tok-1"}, []string{"10.0.0.1"}},
		{"scan --hec-token=tok-1 10.0.0.1", "", []string{"tok-1"}, []string{"10.0.0.1"}},
		{"scan --hec-token-file /etc/tok", "", nil, []string{"/etc/tok"}},
		{"scan --client-key /etc/key", "", nil, []string{"/etc/key"}},
		{"scan --elastic-user u:pass-1", "", []string{"pass-1"}, []string{"u"}},
		{"scan --elastic-user=user", "", nil, []string{"user"}},
		{"-o hec+https://u:pass-1@h", "", []string{"pass-1"}, []string{"h"}},
		{"-o hec+https://h:8088?index=idx-1&token=tok-1", "", []string{"tok-1"}, []string{"8088", "idx-1"}},
		{"-o hec+https://[2001:db8::abcd]:8088#frag", "", []string{"frag"}, []string{"abcd]", "8088"}},
		{"-o hec+https://u:p%40ss1@h", "", []string{"p%40ss1", "p@ss1"}, nil},
		{"-i me@host.txt", "", nil, []string{"me"}},
		{"scan", "SYNOPTIC_HEC_TOKEN=tok-1", []string{"tok-1"}, nil},
		{"scan", "SYNOPTIC_HEC_TOKEN_FILE=/etc/tok", nil, []string{"/etc/tok"}},
		{"scan", "SYNOPTIC_CLIENT_KEY=/etc/key", nil, []string{"/etc/key"}},
		{"scan", "SYNOPTIC_ELASTIC_USER=u:pass-1", []string{"pass-1"}, []string{"u:pass-1"}},
		{"scan", "SYNOPTIC_OUTPUT=ecs:elastic+https://u:pass-1@h/i", []string{"pass-1"}, nil},
		{"scan", "TOKEN=tok-1", nil, []string{"tok-1"}},
	} {
		got := secretsAround(strings.Fields(c.args), []string{c.env})
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%s, %s: %q is not among %q", c.args, c.env, want, got)
			}
		}
		for _, not := range c.not {
			if slices.Contains(got, not) {
				t.Errorf("%s, %s: %q is among %q", c.args, c.env, not, got)
			}
		}
	}
}

// All ways to standard error end in one, without secrets, and in the format that was asked for.
func TestOneLogger(t *testing.T) {
	const secret = "one-logger-S3cr3t"
	secrets.Add(secret)
	defer adopt(func() *slog.Logger { return logText.logger(io.Discard) })
	for _, f := range []logFormat{logText, logJSON} {
		var out bytes.Buffer
		logger := f.logger(&out)
		adopt(func() *slog.Logger { return logger })
		ways := map[string]func(){
			"package log":   func() { log.Printf("Unsolicited response %q\n\x1b[2J", "Splunk "+secret) },
			"log, a logger": func() { log.Default().Println("x", secret) },
			"slog":          func() { slog.Warn("x " + secret) },
			"slog, field":   func() { slog.Error("x", "error", errors.New(secret), "hint", secret) },
			"ours":          func() { logger.Warn("x "+secret, "any", struct{ X string }{secret}) },
			"an error":      func() { printError(logger, fmt.Errorf("a\n%s", secret)) },
			"a panic":       func() { caught(logger, &out, errors.New("x "+secret), debug.Stack()) },
			"cobra": func() {
				cmd := &cobra.Command{}
				cmd.SetErr(cleaned{&out})
				cmd.PrintErrln("x", secret)
			},
		}
		for name, say := range ways {
			out.Reset()
			say()
			text := out.String()
			if text == "" || strings.Contains(strings.ToLower(text), "s3cr3t") || strings.ContainsAny(text, "\x1b\u009b") {
				t.Errorf("%s, %s: %q", f, name, text)
			}
			switch {
			case name == "cobra" || name == "a panic" && f == logText:
			case f == logJSON:
				messages(t, text)
			case !strings.HasPrefix(text, "synoptic: ") || strings.Count(text, "\n") > 2:
				t.Errorf("%s, %s: %q", f, name, text)
			}
		}
	}
}
