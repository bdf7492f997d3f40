package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/sink/vfs"
)

// logFormat is how the program's own messages look on standard error: the value of --log-format.
type logFormat string

const (
	logText logFormat = "text" // for people
	logJSON logFormat = "json" // one object a line, for a log collector
)

func (f *logFormat) String() string { return string(*f) }
func (f *logFormat) Type() string   { return "format" }

func (f *logFormat) Set(s string) error {
	name, err := oneOf("formats", s, logNames)
	if err == nil {
		*f = logFormat(name)
	}
	return err
}

// logger writes to w, without secrets. As text it writes warnings and errors; what is only worth knowing people see
// otherwise, or not at all.
func (f logFormat) logger(w io.Writer) *slog.Logger {
	w = cleaned{vfs.Patient{Writer: w}}
	if f == logJSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: harmless}))
	}
	return slog.New(&textHandler{w: w})
}

// harmless takes from JSON what a terminal would obey, as JSON has no escape for all of that, and
// attributes that say nothing.
func harmless(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindString {
		return a
	}
	if a.Value.String() == "" {
		return slog.Attr{}
	}
	text := a.Value.String()
	if a.Key == hintKey {
		text = withFlags(text)
	}
	return slog.String(a.Key, screen.Printable(text))
}

// hintKey is the attribute that says how to fix it; fields in it are printed as flags. As text it is a line of its own.
const hintKey = screen.HintKey

// textHandler writes a message as a line for a person. The message says it all: of the attributes
// only the hint is shown.
type textHandler struct {
	mu   sync.Mutex
	w    io.Writer
	hint string
}

// Enabled leaves out what is drawn for people otherwise.
func (*textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle writes the message and its hint at once.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	hint := h.hint
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == hintKey {
			hint = a.Value.String()
		}
		return true
	})
	text := "synoptic: " + screen.Printable(r.Message) + "\n"
	if hint != "" {
		text += "hint: " + screen.Printable(withFlags(hint)) + "\n"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, text)
	return err
}

// WithAttrs keeps a hint.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := &textHandler{w: h.w, hint: h.hint}
	for _, a := range attrs {
		if a.Key == hintKey {
			next.hint = a.Value.String()
		}
	}
	return next
}

// WithGroup changes nothing that is shown.
func (h *textHandler) WithGroup(string) slog.Handler { return h }

// printError says what failed and, where the error knows, how to fix it.
func printError(log *slog.Logger, err error) {
	lines := strings.Split(messageOf(err), "\n") // one of each error joined
	for _, line := range lines[:len(lines)-1] {
		log.Error(line)
	}
	log.Error(lines[len(lines)-1], hintKey, hintOf(err))
}
