package main

import (
	"context"
	"strings"
	"time"

	"synoptic/bench"
)

// shot is a command of the recording.
type shot struct {
	text string
	hold time.Duration // for how long its end is looked at
}

// pace says for whom the recording is made: for readers, or in a hurry, for a test.
type pace struct{ hurry bool }

// shots are a sweep, and a second look at a host that has a port which nobody expected.
func shots(p pace) []shot {
	all := []shot{
		{"synoptic scan 10.20.0.0/22 --top-ports 20 -r 20k -o tonight.jsonl", time.Second},
		{"synoptic scan 10.20.3.9 -p- -r 100k --verify", 1700 * time.Millisecond},
	}
	if p.hurry {
		all[0].text = strings.Replace(all[0].text, "-r 20k", "-r 100k --retry-gap 100ms", 1)
	}
	return all
}

const (
	keystroke = 14 * time.Millisecond
	filmRows  = 31
	filmWidth = 120
	prompt    = "$ "
)

// frame is what the screen shows from a moment on.
type frame struct {
	at    time.Duration
	lines []line
}

// film is a recording.
type film struct {
	frames []frame
	length time.Duration
}

// record runs the commands, and keeps all that the terminal shows. The typing is played, all else is as it came.
func record(ctx context.Context, program *bench.Program, root string, p pace) (f film, err error) {
	s, err := enter(ctx, program, root, "office")
	if err != nil {
		return f, err
	}
	defer s.close()
	if !p.hurry {
		s.patience.Store(int64(time.Minute)) // as real ones
	}
	shown := screen{width: filmWidth}
	take := func() { f.frames = append(f.frames, frame{f.length, shown.last(filmRows)}) }
	put := func(text string) error {
		err := shown.write([]byte(text))
		take()
		return err
	}
	for _, c := range shots(p) {
		shown = screen{width: filmWidth} // as by clear(1)
		if err := put(prompt); err != nil {
			return f, err
		}
		if !p.hurry {
			f.length += 250 * time.Millisecond
			for _, r := range c.text {
				f.length += keystroke
				if err := put(string(r)); err != nil {
					return f, err
				}
			}
			f.length += 100 * time.Millisecond
		} else if err := put(c.text); err != nil {
			return f, err
		}
		if err := put("\r\n"); err != nil {
			return f, err
		}
		begun, before := time.Now(), f.length
		err := s.run(ctx, c.text, filmWidth, true, func(text []byte) error {
			f.length = before + time.Since(begun)
			err := shown.write(text)
			take()
			return err
		})
		if err != nil {
			return f, err
		}
		f.length = before + time.Since(begun)
		if !p.hurry {
			f.length += c.hold
		}
	}
	return f, nil
}
