package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// cell is a character on the screen.
type cell struct {
	r      rune
	colour string // the parameters of the last SGR: "32", or none
}

type line []cell

func (l line) text() string {
	var b strings.Builder
	for _, c := range l {
		b.WriteRune(c.r)
	}
	return b.String()
}

// screen is what a terminal shows of what was written to it: text, carriage return, line feed, colours and erasure to
// the end of the line, which is all that the program may write. It does not scroll; who looks takes the last lines.
type screen struct {
	lines  []line // that were ended, and the one that is being written unless it is empty
	width  int    // in columns; a longer line goes on below. 0: none is too long
	row    int
	column int
	colour string
	rest   []byte // of a character or a sequence whose end has not come yet
}

func (s *screen) write(text []byte) error {
	text = append(s.rest, text...)
	s.rest = nil
	for len(text) > 0 {
		if text[0] == '\x1b' {
			n := slices.IndexFunc(text, func(b byte) bool { return b == 'm' || b == 'K' })
			if n < 0 {
				s.rest = slices.Clone(text)
				return nil
			}
			if err := s.obey(string(text[1 : n+1])); err != nil {
				return err
			}
			text = text[n+1:]
			continue
		}
		if !utf8.FullRune(text) {
			s.rest = slices.Clone(text)
			return nil
		}
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		switch {
		case r == '\r':
			s.column = 0
		case r == '\n':
			s.current()
			s.row++
		case r < ' ':
			return fmt.Errorf("the program wrote the control character %q", r)
		default:
			if s.width > 0 && s.column == s.width {
				s.row, s.column = s.row+1, 0
			}
			l := s.current()
			for len(*l) < s.column {
				*l = append(*l, cell{r: ' '})
			}
			*l = append((*l)[:s.column], append(line{{r, s.colour}}, (*l)[min(s.column+1, len(*l)):]...)...)
			s.column++
		}
	}
	return nil
}

// current is the line that is written to.
func (s *screen) current() *line {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, nil)
	}
	return &s.lines[s.row]
}

func (s *screen) obey(sequence string) error {
	switch {
	case sequence == "[K":
		if s.row < len(s.lines) {
			l := s.current()
			*l = (*l)[:min(s.column, len(*l))]
		}
	case strings.HasPrefix(sequence, "[") && strings.HasSuffix(sequence, "m"):
		s.colour = strings.Trim(sequence, "[m")
		if s.colour == "0" {
			s.colour = ""
		}
	default:
		return fmt.Errorf("the program wrote the escape sequence %q", sequence)
	}
	return nil
}

// last are the last n lines, for they are what a terminal of n lines shows.
func (s *screen) last(n int) []line {
	from := max(0, len(s.lines)-n)
	shown := make([]line, 0, n)
	for _, l := range s.lines[from:] {
		shown = append(shown, slices.Clone(l))
	}
	return shown
}
