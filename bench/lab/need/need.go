// Package need says what a test cannot do without: call Program for another program, Long for whatever
// takes more than a second, Required to learn whether what is missing is a failure, and Seeds, Sample and Gate to learn how
// much of it is wanted.
//
// The tests have three rings. `go test -short ./...` runs what needs nothing but a processor; `go test ./...`
// adds networks in namespaces and other programs, each as far as it can be had; the gate (.ci/run) names in
// SYNOPTIC_TEST_REQUIRE what must be there.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Env names what must not be skipped for want of it, comma-separated: "network" (namespaces, and BPF
// programs in them), "peers" (other programs), "admissible" (a machine that keeps up, see package stall).
const Env = "SYNOPTIC_TEST_REQUIRE"

// Required tells whether a missing part of the surroundings is a failure, as it is in the gate.
func Required(part string) bool {
	return slices.Contains(strings.Split(os.Getenv(Env), ","), part)
}

// SeedsEnv says how many seeds a test over seeds takes. The gate asks for ten.
const SeedsEnv = "SYNOPTIC_TEST_SEEDS"

// Seeds is how many seeds a test over seeds takes: two, or what SeedsEnv says.
func Seeds(t testing.TB) int {
	t.Helper()
	s := os.Getenv(SeedsEnv)
	if s == "" {
		return 2
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of seeds", SeedsEnv, s)
	}
	return n
}

// Gate says that so many seeds are wanted as in the gate: there a test takes its time, and elsewhere it is smaller. With
// -short it is small wherever it runs, so that a developer sees the very tests that the gate's first ring has.
func Gate(t testing.TB) bool {
	t.Helper()
	return !testing.Short() && Seeds(t) >= 10
}

// Sample is how much of the same a test takes: the most in the gate, few with -short and where one seed is asked for, and
// some in between elsewhere. The gate asks for one where it looks at what the surroundings allow, or at races: how much of the same
// holds does not hang on that, and its run as root has seen the most.
func Sample[N int | int64 | uint64](t testing.TB, few, some, most N) N {
	t.Helper()
	switch {
	case testing.Short() || Seeds(t) == 1:
		return few
	case Gate(t):
		return most
	}
	return some
}

// Long skips a test that does not belong to the first ring.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short")
	}
}

// Program is the path of another program, in the search path or where Debian keeps what is for root. A test
// is skipped without it, or fails where Env has "peers".
func Program(t testing.TB, name string) string {
	t.Helper()
	Long(t)
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			if p, e := exec.LookPath(filepath.Join(dir, name)); e == nil {
				path, err = p, nil
			}
		}
	}
	Peer(t, err)
	return path
}

// Peer skips a test that lacks another program for the reason err, or fails it where Env has "peers".
func Peer(t testing.TB, err error) {
	t.Helper()
	Long(t)
	switch {
	case err == nil:
	case Required("peers"):
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}
