package screen

import (
	"testing"
	"time"

	"synoptic/scan"
)

// idle is no scan yet.
func idle(time.Duration) scan.Progress { return scan.Progress{} }

// Names that take long are told of, once a minute where nobody looks and when somebody asks; others are not.
func TestNamesBeingResolved(t *testing.T) {
	w := watch(t, Config{}, idle)
	v := w.view
	at := time.Unix(1e9, 0)
	for i := range 200 {
		v.resolving(i, 1200, at.Add(time.Duration(i)*time.Second))
	}
	v.Ask()
	v.resolving(1200, 1200, at.Add(200*time.Second)) // twenty seconds after the last line
	v.Ask()
	const want = "synoptic: resolving names: 60 of 1,200\nsynoptic: resolving names: 120 of 1,200\nsynoptic: resolving names: 180 of 1,200\nsynoptic: resolving names: 199 of 1,200\n"
	if got := w.written(t); got != want {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}
	w = watch(t, Config{}, idle)
	w.view.live = true
	w.view.resolving(0, 3, at)
	w.view.resolving(2, 3, at)
	w.view.resolving(3, 3, at)
	if got, want := w.written(t), eraseLine+"resolving names: 0 of 3"+eraseLine+"resolving names: 2 of 3"+eraseLine; got != want {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}
}
