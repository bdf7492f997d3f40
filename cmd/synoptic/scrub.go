package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"reflect"
	"strings"

	"synoptic/results/crash"
	"synoptic/results/sink/dest"
)

// Everything that the program says goes through one logger, and that through a scrubber:
//
//	screen, commands ─▶ slog.Logger ─▶ text or JSON ─▶ cleaned ─▶ standard error
//	package log (net/http's own messages) ─▶ strays ─┘
//	a panic in any goroutine ─▶ caught ─────────────┘
//
// What the scrubber knows it learns before anything else is looked at, from the command line and the environment,
// and then from the files that hold secrets.

// secrets are those that this process knows. There is one such list, as there is one standard error.
var secrets dest.Scrubber

// cleaned takes the secrets out of what is written, one whole message at a time.
type cleaned struct{ w io.Writer }

func (c cleaned) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.w, secrets.Clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// strays are the messages of libraries that know package log only, such as net/http's of a receiver that sends what
// nobody has asked for: they quote what they have been sent.
type strays struct{ log func() *slog.Logger }

func (s strays) Write(p []byte) (int, error) {
	s.log().Warn(secrets.Words(string(p)))
	return len(p), nil
}

// adopt makes a logger that of the whole process.
func adopt(logger func() *slog.Logger) {
	slog.SetDefault(logger())
	log.SetFlags(0)
	log.SetOutput(strays{logger}) // which SetDefault has changed
}

// secretsAround are the secrets in a command line and in an environment. None of our flags takes one, and a URL with
// one is refused; that somebody tries is no reason to spread it.
func secretsAround(args, environ []string) (all []string) {
	for i, a := range args {
		all = append(all, secretsIn(a)...)
		if name, value, ok := flagValue(args, i); ok && looksSecret(name) {
			all = append(all, value)
		} else if ok && name == elasticUserFlag {
			_, password, _ := strings.Cut(value, ":")
			all = append(all, password)
		}
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "SYNOPTIC_") {
			continue
		}
		for _, word := range strings.Fields(value) {
			all = append(all, secretsIn(word)...)
		}
		switch {
		case name == envElasticUser:
			_, password, _ := strings.Cut(value, ":")
			all = append(all, password)
		case looksSecret(strings.ToLower(strings.ReplaceAll(name, "_", "-"))):
			all = append(all, strings.TrimSpace(value))
		}
	}
	return append(all, dest.Options{}.Secrets()...)
}

// secretsIn are those of a URL, or of what Redact thinks to be one.
func secretsIn(word string) []string {
	if dest.Redact(word) == word {
		return nil
	}
	return dest.URLSecrets(word)
}

// flagValue is the flag at an index, in full, and its value, which may be the next word.
func flagValue(args []string, i int) (name, value string, ok bool) {
	name, value, ok = strings.Cut(args[i], "=")
	if !strings.HasPrefix(name, "--") {
		return "", "", false
	}
	if !ok && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
		value, ok = args[i+1], true
	}
	return name, value, ok
}

// caught says of a panic what it was, where it was, and that it is nobody's fault but ours. Its value may be anything that
// the program has handled, such as a URL that has come from a file.
func caught(logger *slog.Logger, w io.Writer, what any, stack []byte) {
	text := fmt.Sprint(what)
	switch what.(type) {
	case error, fmt.Stringer:
	default:
		if kind := reflect.ValueOf(what).Kind(); kind > reflect.Complex128 && kind != reflect.String {
			text = fmt.Sprintf("a value of type %T", what) // bytes print a secret in a form that nobody looks for
		}
	}
	for _, word := range strings.Fields(text) {
		secrets.Add(secretsIn(strings.Trim(word, "\"'`(){}[]<>,;"))...)
	}
	logger.Error(fmt.Sprintf("%v: %s", crash.Err, text), hintKey, "please report it with the lines that follow", "stack", string(stack))
	if _, text := logger.Handler().(*textHandler); text {
		_, _ = cleaned{w}.Write(stack) // there is nowhere to say that it failed
	}
}
