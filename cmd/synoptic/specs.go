package main

import (
	"path/filepath"
	"slices"
	"strings"

	"synoptic/results/sink"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
)

// formatNames are names that a format goes by elsewhere.
var formatNames = map[string]string{
	"json": "jsonl", "ndjson": "jsonl", "jsonlines": "jsonl", "jl": "jsonl",
	"xml": "nmap-xml", "nmap": "nmap-xml", "nmapxml": "nmap-xml",
	"gnmap": "grepable", "grep": "grepable", "greppable": "grepable", "nmap-grepable": "grepable",
	"pcap": "pcapng", "elastic": "ecs", "elasticsearch": "ecs", "masscan": "masscan-json", "txt": "list", "text": "table",
}

// streamNames are what standard output and standard error are called elsewhere.
var streamNames = map[string]string{"stdout": "-", "stderr": "/dev/stderr", "&1": "-", "&2": "/dev/stderr"}

// otherEndings promise a kind of file that no format here is.
var otherEndings = map[string]bool{
	".yaml": true, ".yml": true, ".html": true, ".htm": true, ".xls": true, ".xlsx": true, ".ods": true, ".pdf": true, ".md": true,
	".db": true, ".sqlite": true, ".sql": true, ".parquet": true, ".toml": true, ".tsv": true,
}

// allFormats are the formats of -o.
func allFormats() []string { return format.Names() }

// formatNamed is the format that a name means: its own, another one's that it goes by, or one that it is misspelt for.
func formatNamed(name string) string {
	name = strings.ToLower(name)
	if all := allFormats(); slices.Contains(all, name) {
		return name
	} else if f := formatNames[name]; slices.Contains(all, f) {
		return f
	} else {
		return nearest(name, all)
	}
}

// misnamed tells a value of -o that says something else than it seems to, why, and what to write.
func misnamed(spec string) (why, write string) {
	name, to := sink.Split(spec)
	explicit := to != spec
	switch lower := strings.ToLower(to); {
	case !explicit && (slices.Contains(allFormats(), lower) || formatNames[lower] != "") && formatNamed(lower) != "":
		return "is a format, and the file is missing (for a file of that name write ./" + to + ")", formatNamed(lower) + ":FILE"
	case explicit && to == "" && formatNamed(name) != "":
		return "has no file", formatNamed(name) + ":FILE"
	case explicit && !slices.Contains(allFormats(), name) && formatNamed(name) != "":
		return "has an unknown format", formatNamed(name) + ":" + to
	case to != strings.TrimSpace(to):
		return "has a space at its end or its beginning", strings.TrimSuffix(spec, to) + strings.TrimSpace(to)
	case !explicit && streamNames[lower] != "":
		return "would be a file of that name", streamNames[lower]
	case !explicit && otherEndings[strings.ToLower(filepath.Ext(to))] && !dest.IsRemote(to):
		return "would get JSON lines, which its ending does not promise", "jsonl:" + to
	}
	if ext := strings.ToLower(filepath.Ext(to)); slices.Contains([]string{".gz", ".zst", ".bz2", ".xz", ".zip"}, ext) && !dest.IsRemote(to) {
		write := strings.TrimSuffix(to, to[len(to)-len(ext):])
		if explicit {
			write = name + ":" + write
		}
		return "would not be compressed", write
	}
	return "", ""
}

// checkOutputs refuses formats that there are not, and two outputs to one place, before anything is opened.
func checkOutputs(specs []string) error {
	places := map[string]bool{}
	for _, spec := range specs {
		if why, write := misnamed(spec); why != "" {
			return usage("write -o "+dest.Redact(write), "-o %s %s", dest.Redact(spec), why)
		}
		_, to := sink.Split(spec)
		switch {
		case dest.IsRemote(to): // which can tell two formats apart
		case !places[filepath.Clean(to)]:
			places[filepath.Clean(to)] = true
		case to == "-":
			return usage("give one of them a file", "two outputs write to standard output")
		default:
			return usage("give each output its own file", "two outputs write to %s", to)
		}
	}
	return nil
}
