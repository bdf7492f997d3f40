package results

import (
	"encoding/json"
	"regexp"
	"strings"
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
	p, h, e, v := samplePort(), Host{Addr: samplePort().Addr}, sampleEvent(), sampleViolation()
	scan := scanRecords(t, &ScanStart{ScanID: testScan}, &ScanEnd{ScanID: testScan})
	begin := regexp.MustCompile(`^\{"v":1,"type":"[a-z_]+","ts":"[^"]+Z","scan_id":"` + testScan + `","event_id":"[0-9a-f]{32}",`)
	for _, line := range [][]byte{scan[0], scan[1], p.AppendJSON(nil, testScan), h.AppendJSON(nil, testScan), e.AppendJSON(nil, testScan), []byte(lineOf(t, &v))} {
		head := begin.Find(line)
		if head == nil {
			t.Fatalf("%s", line)
		}
		if again := regexp.MustCompile(`"(v|type|ts|scan_id|event_id)":`).FindIndex(line[len(head):]); again != nil || !json.Valid(line) {
			t.Errorf("a field comes twice in %s", line)
		}
	}
}

// A scan_start of a program that knew no digests is read and written as it was.
func TestReadStartWithoutDigests(t *testing.T) {
	const line = `{"v":1,"type":"scan_start","ts":"2026-11-21T12:00:00.000000000Z","scan_id":"` + testScan + `","event_id":"EVENT","version":"1","args":["scan"],` +
		`"targets":1,"excluded":0,"ports":1,"probes":1,"seed":7,"rate":"10000","backend":"afpacket","backend_reason":"asked for"}` + "\n"
	old := strings.Replace(line, "EVENT", (&ScanStart{ScanID: testScan}).EventID().String(), 1)
	got, errs := rewrite(NewReader(strings.NewReader(old)))
	if len(errs) > 0 || string(got) != old {
		t.Errorf("errors %v\ngot  %s\nwant %s", errs, got, old)
	}
}
