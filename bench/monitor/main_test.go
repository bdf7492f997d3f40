package main

import (
	"strings"
	"testing"
)

// The table has its rows, and one that keeps what it must says so.
func TestTable(t *testing.T) {
	text, ok, err := table(4096, 0.3, 1, "open hourly")
	if err != nil || !ok || strings.Count(text, "\n") != 5 || !strings.Contains(text, "| 3889 | √λ, daily, open hourly |") || !strings.Contains(text, "as it must") {
		t.Errorf("%v, %v:\n%s", ok, err, text)
	}
}

// What is not kept is told.
func TestFault(t *testing.T) {
	for _, r := range rows() {
		c := r.config(4096)
		if c.Monitor.Budget != r.budget/4096 || c.Monitor.Check() != nil {
			t.Errorf("%s: %+v", r.name, c.Monitor)
		}
	}
	text, ok, err := table(4096, 0.05, 1, "√λ, each at least daily") // in an hour most is as old as the run, and no second is uneven
	if err != nil || !ok {
		t.Errorf("%v, %v:\n%s", ok, err, text)
	}
}
