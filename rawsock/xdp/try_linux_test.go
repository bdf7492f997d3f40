//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"testing"
	"time"

	"synoptic/rawsock"
)

// A ring that is full for a while is waited for; only a driver that says nothing, time after time, lacks something.
func TestTryDriver(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		play []tried // the last one for ever
		err  error   // of the last one
		want error   // nil: taken
		most time.Duration
	}{
		"at once":                     {play: []tried{frameTaken}},
		"full once":                   {play: []tried{ringFull, frameTaken}, most: tryEvery},
		"full ten times":              {play: append(repeat(ringFull, 10), frameTaken), most: 10 * tryEvery},
		"full for two seconds":        {play: append(repeat(ringFull, 200), frameTaken), most: 2 * time.Second},
		"full to the last moment":     {play: append(repeat(ringFull, 300), frameTaken), most: ringPatience},
		"full for ever":               {play: repeat(ringFull, 1), want: ErrRingFull, most: ringPatience},
		"silent once":                 {play: []tried{nothingSaid, frameTaken}, most: tryEvery},
		"silent, then full, then not": {play: []tried{nothingSaid, ringFull, ringFull, frameTaken}, most: 3 * tryEvery},
		"full, then silent for ever":  {play: append(repeat(ringFull, 20), nothingSaid), want: ErrUnsupported, most: 20*tryEvery + sayPatience},
		"silent for ever":             {play: repeat(nothingSaid, 1), want: ErrUnsupported, most: sayPatience},
		"refused":                     {play: repeat(nothingSaid, 1), err: refused, want: refused},
		"full, then down":             {play: append(repeat(ringFull, 3), nothingSaid), err: rawsock.ErrInterface, want: rawsock.ErrInterface, most: 3 * tryEvery},
	} {
		t.Run(name, func(t *testing.T) {
			var at int
			var slept time.Duration
			err := tryDriver(func() (tried, error) {
				now := min(at, len(c.play)-1)
				at++
				if now == len(c.play)-1 {
					return c.play[now], c.err
				}
				return c.play[now], nil
			}, func(d time.Duration) { slept += d })
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if errors.Is(err, ErrUnsupported) != errors.Is(c.want, ErrUnsupported) {
				t.Errorf("%v is about what the driver can do", err)
			}
			if slept != c.most {
				t.Errorf("waited for %v, want %v", slept, c.most)
			}
		})
	}
}

func repeat(o tried, n int) (all []tried) {
	for range n {
		all = append(all, o)
	}
	return all
}
