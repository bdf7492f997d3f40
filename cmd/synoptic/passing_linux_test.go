package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// What passes is no end, and an end no success: $S is the program, $SCAN a scan of 3,000 closed ports that takes a second, out.jsonl
// the file that is looked at, and `has FILE` waits until records are in it.
var passing = []struct {
	name    string
	line    string
	code    int
	records int    // lines of out.jsonl at least; all are 3,003
	says    string // on standard error; "" is nothing at all
}{
	{"whoever reads messages goes away", `$S $SCAN -o out.jsonl 2> >(exec head -c1 >/dev/null)`, 0, 3003, ""},
	{"nobody reads messages", `$S $SCAN -o out.jsonl --log-format json 2>/dev/full`, 0, 3003, ""},
	{"messages are closed", `$S $SCAN -o out.jsonl 2>&-`, 0, 3003, ""},
	{"input is closed", `$S $SCAN -q -o out.jsonl <&-`, 0, 3003, ""},
	{"a pipe whose reader goes away, beside a file", `mkfifo f; head -2 f >/dev/null & $S $SCAN -q -o f -o out.jsonl`, 1, 3003, `output "f" failed: write records: write f: broken pipe`},
	{"files may be no longer than this", `ulimit -f 64; $S $SCAN -q -o out.jsonl`, 1, 100, `output "out.jsonl" failed: write records: write out.jsonl: file too large`},
	{"the file is emptied", `$S $SCAN -q -o out.jsonl & p=$!; has out.jsonl; : >out.jsonl; wait $p`, 0, 10, `output "out.jsonl": somebody has emptied the file or cut it off`},
	{"the program is stopped for a while", `$S $SCAN -q -o out.jsonl & p=$!; has out.jsonl; kill -STOP $p; sleep 2; kill -CONT $p; wait $p`, 0, 3003, ""},
	{"the file is renamed, and renamed again", `$S $SCAN -q -o out.jsonl & p=$!; has out.jsonl; mv out.jsonl a; kill -HUP $p; has out.jsonl; mv out.jsonl b; kill -HUP $p; wait $p; c=$?; cat a b out.jsonl >all; mv all out.jsonl; exit $c`, 0, 3003, ""},
	{"the folder is gone when the file is reopened", `mkdir d; $S $SCAN -q -o d/x.jsonl & p=$!; has d/x.jsonl; mv d e; kill -HUP $p; wait $p; c=$?; cp e/x.jsonl out.jsonl; exit $c`, 1, 100, `output "d/x.jsonl": the old file stays in use`},
	{"targets come late, and a bit at a time", `(sleep 0.3; echo 127.0.0.1; sleep 0.3; printf 127.0.0.; sleep 0.3; echo 2) | $S scan - -p 1-9 --show all -q -o out.jsonl`, 0, 21, ""},
	{"the program that lists targets fails", `false | $S scan - -p 1-9 -q -o out.jsonl`, 2, 0, `standard input holds no targets`},
	{"the program that lists exclusions fails", `$S scan 127.0.0.1 -p 1-9 -q -o out.jsonl --exclude-file <(false)`, 2, 0, `holds no exclusions`},
	{"exclusions from a program", `$S scan 127.0.0.1-2 -p 1-9 --show all -q -o out.jsonl --exclude-file <(sleep 0.2; echo 127.0.0.2)`, 0, 12, ""},
	{"records that end in the middle", `$S $SCAN -q -o x.jsonl; head -c 20000 x.jsonl | $S convert -o out.jsonl`, 1, 40, `line 4|not understood|cannot be read`},
	{"records whose program is killed", `$S $SCAN -q -o x.jsonl; grep -v scan_end x.jsonl | $S convert -o out.jsonl`, 3, 3001, `the record stream ends before scan_end`},
}

func TestPassingStates(t *testing.T) {
	need.Long(t)
	t.Parallel()
	testnet.Apart(t)
	bash := need.Program(t, "bash")
	for _, c := range passing {
		testnet.Run(t, c.name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(bash, "-c", `has() { for _ in {1..500}; do [ -s "$1" ] && return; sleep 0.02; done; }; `+c.line)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "S="+program(t), "SCAN=scan 127.0.0.1 -p 1-3000 --show all --rate 3k")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			cmd.Run()
			data, _ := os.ReadFile(filepath.Join(dir, "out.jsonl"))
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit %d, want %d: %s", code, c.code, &stderr)
			}
			if n := bytes.Count(data, []byte("\n")); n < c.records || len(data) > 0 && !bytes.HasSuffix(data, []byte("}\n")) {
				t.Errorf("%d lines, want %d, ending in %.80q", n, c.records, data[max(0, len(data)-80):])
			}
			said := false
			for words := range strings.SplitSeq(c.says, "|") {
				said = said || strings.Contains(stderr.String(), words)
			}
			if !said || c.says == "" && stderr.Len() > 0 {
				t.Errorf("stderr %q, want %q", &stderr, c.says)
			}
		})
	}
}
