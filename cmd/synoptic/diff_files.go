package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/diff"
)

// scanIn is a scan in a file.
type scanIn struct {
	file   string
	id     string
	begun  time.Time
	digest string // of its plan
}

// compared are the scans that are compared.
type compared struct{ before, after scanIn }

// choose finds the scans that are meant.
func (f *diffFlags) choose(std streams, log *slog.Logger, files []string) (c compared, err error) {
	if slices.Contains(files, "-") {
		return c, usage("write the records to a file first: they are read more than once", "standard input cannot be compared")
	}
	in, err := newInput(files, std.in) // refuses what cannot be read
	if err != nil {
		return c, err
	}
	in.close()
	scans := make([][]scanIn, len(files))
	for i, file := range files {
		var bad uint64
		if scans[i], bad, err = scansIn(file, log); err != nil {
			return c, err
		}
		f.bad += bad
	}
	old, recent := scans[0], scans[len(scans)-1]
	at := len(recent) - 1
	if f.to != "" && f.to != lastScan {
		if at, err = named("--to", f.to, recent); err != nil {
			return c, err
		}
	}
	c.after = recent[at]
	if len(files) == 1 {
		old = recent[:at]
	}
	i, err := f.earlier(old, c.after)
	if err != nil {
		return c, err
	}
	if c.before = old[i]; c.before.id == c.after.id {
		return c, usage("give files of two scans", "scan %s is both before and after", c.after.id)
	}
	return c, nil
}

// earlier chooses the scan that is compared with a later one.
func (f *diffFlags) earlier(old []scanIn, after scanIn) (int, error) {
	switch {
	case len(old) == 0:
		return 0, usage("give the file of an earlier scan before it", "scan %s is the first one in the file", after.id)
	case f.from == "first":
		return 0, nil
	case f.from != "":
		return named("--from", f.from, old)
	case f.since != "":
		age, err := parseAge("--since", f.since)
		if err != nil {
			return 0, err
		}
		for i := len(old) - 1; i >= 0; i-- {
			if !old[i].begun.After(after.begun.Add(-age)) {
				return i, nil
			}
		}
		return 0, usage("the first is of "+old[0].begun.UTC().Format(time.DateTime)+" UTC", "--since %s: no scan began that long before %s", f.since, after.id)
	}
	for i := len(old) - 1; i >= 0; i-- {
		if old[i].digest != "" && old[i].digest == after.digest {
			return i, nil
		}
	}
	return len(old) - 1, nil
}

// named finds a scan by its ID.
func named(flag, id string, scans []scanIn) (int, error) {
	found := -1
	for i, s := range scans {
		switch {
		case !strings.HasPrefix(s.id, id):
		case found >= 0:
			return 0, usage("give more of the ID", "%s %s: several scans begin with it", flag, id)
		default:
			found = i
		}
	}
	if found < 0 {
		return 0, usage("the last one is "+scans[len(scans)-1].id, "%s %s: no such scan", flag, id)
	}
	return found, nil
}

// scansIn are the scans of a file, in the order in which they begin.
func scansIn(file string, log *slog.Logger) (all []scanIn, bad uint64, err error) {
	seen := map[string]bool{}
	bad, err = each(file, log, func(r *results.Records) {
		if seen[r.ScanID] {
			return
		}
		seen[r.ScanID] = true
		s := scanIn{file: file, id: r.ScanID}
		if r.Start != nil {
			s.begun, s.digest = time.Time(r.Start.Time), r.Start.PlanDigest
		}
		all = append(all, s)
	})
	if err == nil && len(all) == 0 {
		err = failure{usage("diff reads the JSON lines that synoptic scan writes with -o FILE", "no record in %s", file)}
	}
	return all, bad, err
}

// each reads a file, and counts the lines that could not be read.
func each(file string, log *slog.Logger, f func(*results.Records)) (bad uint64, err error) {
	in := input{files: []string{file}, log: log}
	defer in.close()
	for r := new(results.Records); ; {
		switch err := in.read(r); {
		case errors.Is(err, io.EOF):
			return in.bad, nil
		case err != nil:
			return in.bad, failure{err}
		}
		f(r)
	}
}

// read reads what matters of the two scans: of the earlier one twice, as only ports that are open later matter that were not before.
func (c *compared) read(log *slog.Logger) (before, after *diff.Scan, err error) {
	before, after = diff.NewScan(), diff.NewScan()
	if err := load(c.before, before, nil, log); err != nil {
		return nil, nil, err
	}
	if err := load(c.after, after, before, log); err != nil {
		return nil, nil, err
	}
	_, err = each(c.before.file, nil, func(r *results.Records) {
		if r.ScanID == c.before.id {
			before.Others(r.Ports, after)
		}
	})
	return before, after, err
}

// load reads a scan: its open ports, and others that are open in the one beside it.
func load(from scanIn, into, beside *diff.Scan, log *slog.Logger) error {
	var asked results.Assembly
	into.ID = from.id
	_, err := each(from.file, nil, func(r *results.Records) {
		if r.ScanID != from.id {
			return
		}
		into.Open(r.Ports)
		if beside != nil {
			into.Others(r.Ports, beside)
		}
		for _, n := range r.Notices {
			asked.Add(n)
		}
		if r.Start != nil {
			into.Start(r.Start)
		}
		if r.End != nil {
			into.End(r.End)
			asked.End(r.End)
		}
	})
	if err != nil {
		return err
	}
	into.Parts, err = askedParts(&asked)
	tellUnasked(from.id, into, err, log)
	return nil
}

// tellUnasked warns where nothing can be said of ports without a record.
func tellUnasked(id string, s *diff.Scan, damaged error, log *slog.Logger) {
	switch {
	case damaged != nil:
		log.Warn(fmt.Sprintf("scan %s: its records do not tell all of what it asked: %v", id, damaged), "scan_id", id)
	case len(s.Parts) == 0:
		log.Warn(fmt.Sprintf("scan %s: its records do not tell what it asked", id), hintKey, "of ports without a record nothing is known: scans of synoptic 0.1.0 and before were so", "scan_id", id)
	case s.Ended.IsZero():
		log.Warn(fmt.Sprintf("scan %s: %s: of ports without a record nothing is known", id, cutOff), "scan_id", id)
	}
}
