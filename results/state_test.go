package results

import "testing"

func TestState(t *testing.T) {
	for s := range State(16) {
		want, name := State(0), "silent"
		switch {
		case s&Open != 0:
			want, name = Open, "open"
		case s&Closed != 0:
			want, name = Closed, "closed"
		case s&Filtered != 0:
			want, name = Filtered, "filtered"
		case s&Unknown != 0:
			name = "unknown"
		}
		if s.Best() != want || s.String() != name {
			t.Errorf("%04b: best %v, %q; want %v, %q", s, s.Best(), s.String(), want, name)
		}
	}
	if Open != 1 || Closed != 2 || Filtered != 4 || Unknown != 8 {
		t.Error("the bits are a contract with the BPF programs")
	}
}
