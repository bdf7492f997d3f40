package sim

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var plantedFlag = flag.Bool("planted", false, "plant faults and see that they are found: it builds the module once for each")

// planted are faults, by the file that they are planted in: each is a piece of the code and what it becomes.
var planted = []struct{ what, file, from, to string }{
	{"schedule: a retry too few", "scan/schedule/policy.go", "final := c.Probes > f.Retries", "final := c.Probes >= f.Retries"},
	{"schedule: half the gap", "scan/schedule/schedule.go", "if left := gap - now.Sub(c.Since); left > 0 {", "if left := gap/2 - now.Sub(c.Since); left > 0 {"},
	{"schedule: the attempt is not counted on", "scan/schedule/schedule.go", "		c.Probes++\n", "		c.Probes = max(c.Probes, 1)\n"},
	{"schedule: what was sent in an outage is not taken back", "scan/schedule/takeback.go", "if n := len(c.past); n > 0 && c.past[n-1].ended.After(since) {", "if n := len(c.past); n > 0 && c.past[n-1].ended.After(now) {"},
	{"beacon: one that is lost counts as answered", "scan/beacon/beacon.go", "		m.expired()\n", "		m.answered(0)\n		s.good = max(s.good, m.good)\n		s.paths[m.Path].Answered++\n"},
	{"map: filtered passes for silent", "results/window/map.go", "	word |= word >> 2\n", ""},
	{"map: unsent passes for silent", "results/window/map.go", "	word |= word >> 2\n", "	word |= word >> 1\n"},
	{"map: the last position of a word is passed over", "results/window/map.go", "last := (next - 1) % wordSlots", "last := (next - 1) % wordSlots &^ 1"},
	{"map: a mark is told its own state", "results/window/map.go", "old = results.State(word>>shift) & sealed", "old = (results.State(word>>shift) | s) & sealed"},
	{"judge: a port too late", "scan/judge/hosts.go", "return open >= implausibleOpen && ", "return open > implausibleOpen && "},
	{"judge: closed ports are forgotten", "scan/judge/hosts.go", "		s.closed++\n", ""},
	{"judge: the first answer is the last", "scan/judge/hosts.go", "s.first, s.last = min(s.first, p.Time)", "s.first, s.last = max(s.first, p.Time)"},
}

// A laboratory that no fault of the engine can get past: each one planted on purpose in schedule, beacon, map or judge is
// found by the random scans, and the seed that found it is told:
//
//	go test ./bench/lab/sim -run TestPlantedFaults -planted -v
func TestPlantedFaults(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range planted {
		t.Run(f.what, func(t *testing.T) {
			file, dir := filepath.Join(root, filepath.FromSlash(f.file)), t.TempDir()
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), f.from); n != 1 {
				t.Fatalf("%s has %q %d times: plant the fault elsewhere", f.file, f.from, n)
			}
			if !*plantedFlag {
				return // that it can be planted still is all that is seen to without the flag
			}
			t.Parallel() // a linker has one thread
			faulty := filepath.Join(dir, "faulty.go")
			writeFile(t, faulty, []byte(strings.Replace(string(source), f.from, f.to, 1)))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: faulty}})
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, "overlay.json"), overlay)
			binary := filepath.Join(dir, "sim.test")
			build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			out, err := exec.CommandContext(t.Context(), binary, "-test.run", "^TestRandomScans$", "-scans", "500").CombinedOutput()
			seed := regexp.MustCompile(`seed(?: |": ")\d+.*`).Find(out)
			if err == nil || seed == nil {
				t.Fatalf("the fault was not found: %v\n%s", err, out)
			}
			t.Logf("%s", seed)
		})
	}
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
