package results

import (
	"encoding/json"
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// scanRecords are the lines that open and close a scan.
func scanRecords(t rapid.TB, start *ScanStart, end *ScanEnd) (lines [2][]byte) {
	t.Helper()
	var err error
	if lines[0], err = start.AppendJSON(nil); err != nil {
		t.Fatal(err)
	}
	if lines[1], err = end.AppendJSON(nil); err != nil {
		t.Fatal(err)
	}
	return lines
}

// Every record begins with the same fields in the same order, each once.
func TestRecordsBeginAlike(t *testing.T) {
	p, h := samplePort(), Host{Addr: samplePort().Addr}
	scan := scanRecords(t, &ScanStart{ScanID: testScan}, &ScanEnd{ScanID: testScan})
	begin := regexp.MustCompile(`^\{"v":1,"type":"[a-z_]+","ts":"[^"]+Z","scan_id":"` + testScan + `","event_id":"[0-9a-f]{32}",`)
	for _, line := range [][]byte{scan[0], scan[1], p.AppendJSON(nil, testScan), h.AppendJSON(nil, testScan)} {
		head := begin.Find(line)
		if head == nil {
			t.Fatalf("%s", line)
		}
		if again := regexp.MustCompile(`"(v|type|ts|scan_id|event_id)":`).FindIndex(line[len(head):]); again != nil || !json.Valid(line) {
			t.Errorf("a field comes twice in %s", line)
		}
	}
}
