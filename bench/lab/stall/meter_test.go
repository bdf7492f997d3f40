package stall

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"
)

// A clock that is turned by hand: the gap is the longest step.
func TestLongest(t *testing.T) {
	for _, c := range []struct {
		steps []time.Duration
		want  time.Duration
	}{
		{[]time.Duration{1, 5, 2}, 5},
		{[]time.Duration{7, 5, 2}, 7},
		{[]time.Duration{1, 2, 9}, 9},
	} {
		now, end := time.Unix(0, 0), make(chan struct{})
		next := 0
		got := longest(end, now, func() time.Time { return now }, func(time.Duration) {
			now = now.Add(c.steps[next])
			if next++; next == len(c.steps) {
				close(end)
			}
		})
		if got != c.want {
			t.Errorf("steps %v: %d, want %d", c.steps, got, c.want)
		}
	}
}

// What lay unread is late by the time that it lay there at least.
func TestLatest(t *testing.T) {
	received, sent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Add(-time.Hour)
	for _, at := range []time.Duration{time.Hour, 59 * time.Minute, time.Hour} {
		if err := binary.Write(sent, binary.LittleEndian, at); err != nil {
			t.Fatal(err)
		}
	}
	sent.Close()
	if late := latest(received, begun); late < time.Minute || late > 59*time.Minute {
		t.Errorf("late by %v, want a minute", late)
	}
}

// meterEnv makes the test binary a program that measures until its standard input ends.
const meterEnv = "STALL_METER"

func measureForParent() {
	stop := Watch()
	fmt.Println("measuring")
	bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println(int64(stop().Gap))
}
