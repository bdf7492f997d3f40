package sink

import "testing"

// The format is that of the file's ending where none is given; one that is given wins.
func TestSplitEndings(t *testing.T) {
	for spec, want := range map[string][2]string{
		"scan.csv": {"csv", "scan.csv"}, "scan.CSV": {"csv", "scan.CSV"}, "/tmp/a.b/scan.xml": {"nmap-xml", "/tmp/a.b/scan.xml"},
		"scan.json": {"jsonl", "scan.json"}, "scan.jsonl": {"jsonl", "scan.jsonl"}, "scan.ndjson": {"jsonl", "scan.ndjson"},
		"scan.gnmap": {"grepable", "scan.gnmap"}, "scan.pcapng": {"pcapng", "scan.pcapng"}, "scan.pcap": {"pcapng", "scan.pcap"},
		"scan.txt": {"jsonl", "scan.txt"}, "scan": {"jsonl", "scan"}, "csv": {"jsonl", "csv"}, ".csv": {"csv", ".csv"}, "a.csv.bak": {"jsonl", "a.csv.bak"},
		"jsonl:scan.csv": {"jsonl", "scan.csv"}, "ecs:scan.xml": {"ecs", "scan.xml"}, "masscan-json:scan.json": {"masscan-json", "scan.json"},
		`C:\scans\scan.csv`: {"csv", `C:\scans\scan.csv`}, "./a:b.csv": {"csv", "./a:b.csv"},
		"unix:/run/log.csv": {"jsonl", "unix:/run/log.csv"}, "syslog+tcp://host.csv": {"jsonl", "syslog+tcp://host.csv"},
	} {
		if format, dest := Split(spec); format != want[0] || dest != want[1] {
			t.Errorf("%q is format %q, destination %q; want %q", spec, format, dest, want)
		}
	}
}
