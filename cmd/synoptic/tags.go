package main

import (
	"os"

	"github.com/spf13/pflag"

	"synoptic/results"
	"synoptic/results/sink"
	"synoptic/results/tags"
)

// tagFlags are what the user says about the scan and about addresses, for every record.
type tagFlags struct {
	tags  []string
	files []string
}

func (f *tagFlags) register(fl *pflag.FlagSet) {
	fl.Var((*words)(&f.tags), "tag", "put the tag `KEY=VALUE` on every record, repeatable: ticket=CHG-4711")
	fl.Var((*words)(&f.files), "tags-file", "read tags of addresses from `FILE`, CSV lines PREFIX,KEY=VALUE,…; for each key the longest prefix wins")
}

func (f *tagFlags) load() (*tags.Table, error) {
	return tags.Load(tags.Config{Tags: f.tags, TagsFiles: f.files})
}

// stamp puts before the outputs what writes tags and this host's name on records.
func stamp(outputs results.Sink, table *tags.Table) results.Sink {
	scanner, _ := os.Hostname() // a record without one is a record
	return tags.NewStamp(outputs, table, scanner)
}

// restamp puts before the outputs of records that are converted what adds the tags of a table to them, where there are any.
func (f *tagFlags) restamp(tee *sink.Tee, table *tags.Table) (results.Sink, func(*results.DeliveryReport) error) {
	if len(f.tags)+len(f.files) == 0 {
		return tee, tee.Delivered
	}
	stamp := tags.NewRestamp(tee, table)
	return stamp, func(r *results.DeliveryReport) error {
		stamped, err := stamp.Report(r)
		if err != nil {
			return err
		}
		return tee.Delivered(stamped)
	}
}
