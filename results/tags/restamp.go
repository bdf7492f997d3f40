package tags

import (
	"fmt"

	"synoptic/results"
)

// Restamp adds tags to records of an earlier scan on their way to a sink. Of one key the added tag holds; who has scanned
// stays as it is.
type Restamp struct {
	results.Sink
	table  *Table
	merged map[[2]results.Tags]results.Tags
}

// NewRestamp puts a Restamp before a sink.
func NewRestamp(next results.Sink, table *Table) *Restamp {
	return &Restamp{Sink: next, table: table, merged: map[[2]results.Tags]results.Tags{}}
}

// maxMerged bounds how many sets of tags are kept that others have come to.
const maxMerged = 8192

// add is what tags come to with those of the table.
func (s *Restamp) add(old, more results.Tags) (results.Tags, error) {
	switch {
	case more == "" || old == more:
		return old, nil
	case old == "":
		return more, nil
	}
	pair := [2]results.Tags{old, more}
	if t, ok := s.merged[pair]; ok {
		return t, nil
	}
	var all []results.Tag
	own := map[string]bool{}
	for key, value := range more.All() {
		own[key], all = true, append(all, results.Tag{Key: key, Value: value})
	}
	for key, value := range old.All() {
		if !own[key] {
			all = append(all, results.Tag{Key: key, Value: value})
		}
	}
	t, err := results.MakeTags(all)
	if err != nil {
		return "", fmt.Errorf("with those that the records have: %w", err)
	}
	if len(s.merged) == maxMerged {
		clear(s.merged)
	}
	s.merged[pair] = t
	return t, nil
}

// Start hands on the opening record with the scan's tags.
func (s *Restamp) Start(start *results.ScanStart) (err error) {
	stamped := *start
	if stamped.Tags, err = s.add(start.Tags, s.table.Scan()); err != nil {
		return err
	}
	return s.Sink.Start(&stamped)
}

// Ports adds to a batch the tags of its addresses.
func (s *Restamp) Ports(batch []results.Port) (err error) {
	for i := range batch {
		if batch[i].Tags, err = s.add(batch[i].Tags, s.table.Of(batch[i].Addr)); err != nil {
			return err
		}
	}
	return s.Sink.Ports(batch)
}

// Events adds to a batch the scan's tags.
func (s *Restamp) Events(batch []results.Event) (err error) {
	for i := range batch {
		if batch[i].Tags, err = s.add(batch[i].Tags, s.table.Scan()); err != nil {
			return err
		}
	}
	return s.Sink.Events(batch)
}

// Hosts adds to a batch the tags of its addresses.
func (s *Restamp) Hosts(batch []results.Host) (err error) {
	for i := range batch {
		if batch[i].Tags, err = s.add(batch[i].Tags, s.table.Of(batch[i].Addr)); err != nil {
			return err
		}
	}
	return s.Sink.Hosts(batch)
}

// Notices adds to a batch the tags of what it is about.
func (s *Restamp) Notices(batch []results.Notice) (err error) {
	for _, n := range batch {
		tags := n.TagField()
		if *tags, err = s.add(*tags, s.table.about(n)); err != nil {
			return err
		}
	}
	return s.Sink.Notices(batch)
}

// End hands on the closing record with the scan's tags.
func (s *Restamp) End(end *results.ScanEnd) (err error) {
	stamped := *end
	if stamped.Tags, err = s.add(end.Tags, s.table.Scan()); err != nil {
		return err
	}
	return s.Sink.End(&stamped)
}

// Report is the report of deliveries with the scan's tags.
func (s *Restamp) Report(r *results.DeliveryReport) (*results.DeliveryReport, error) {
	stamped := *r
	var err error
	stamped.Tags, err = s.add(r.Tags, s.table.Scan())
	return &stamped, err
}

// Unwrap gives the sink behind.
func (s *Restamp) Unwrap() results.Sink { return s.Sink }
