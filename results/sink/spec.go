package sink

import (
	"path/filepath"
	"strings"

	"synoptic/results/sink/dest"
)

// endings are the formats of files that are given without one, by how their names end. Any other file is given JSON lines.
var endings = map[string]string{
	".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
	".csv": "csv", ".xml": "nmap-xml", ".gnmap": "grepable", ".pcapng": "pcapng", ".pcap": "pcapng",
}

// Split takes DEST or FORMAT:DEST apart. Without a FORMAT it is that of the file's ending, or jsonl.
func Split(spec string) (format, dst string) {
	// No format has a name of one letter: that is a drive of Windows.
	if f, d, ok := strings.Cut(spec, ":"); ok && len(f) != 1 && !strings.ContainsAny(f, `/\.`) && !dest.IsURL(f) && !strings.HasPrefix(d, "//") {
		return f, d
	}
	if f := endings[strings.ToLower(filepath.Ext(spec))]; f != "" && !dest.IsRemote(spec) {
		return f, spec
	}
	return "jsonl", spec
}
