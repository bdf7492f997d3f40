package main

import (
	"fmt"
	"strings"
)

// usageError is a word of the command line that makes no sense.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }
func (e *usageError) Hint() string  { return e.hint }

func usage(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// word is a flag's value that must not be empty. An empty one is most often an unset variable of a
// script, and to take it for "not given" would scan something else than was asked for.
type word string

func (w *word) String() string { return string(*w) }
func (w *word) Type() string   { return "string" }

func (w *word) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		return errEmpty
	}
	*w = word(s)
	return nil
}

// words is a flag that can be given again and again, each time with a word.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }
func (w *words) Type() string   { return "stringArray" } // so that completion offers the flag again

func (w *words) Set(s string) error {
	var next word
	if err := next.Set(s); err != nil {
		return err
	}
	*w = append(*w, s)
	return nil
}
