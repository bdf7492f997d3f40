package tags

import "synoptic/results"

// Stamp writes tags, and who scans, on all records on their way to a sink.
type Stamp struct {
	results.Sink
	table   *Table
	scanner string
}

// NewStamp puts a Stamp before a sink. scanner is the name of the host that scans, or "".
func NewStamp(next results.Sink, table *Table, scanner string) *Stamp {
	return &Stamp{Sink: next, table: table, scanner: scanner}
}

// Start hands on the opening record with the scan's tags.
func (s *Stamp) Start(start *results.ScanStart) error {
	stamped := *start
	stamped.Scanner, stamped.Tags = s.scanner, s.table.Scan()
	return s.Sink.Start(&stamped)
}

// Ports writes on a batch the tags of its addresses.
func (s *Stamp) Ports(batch []results.Port) error {
	for i := range batch {
		batch[i].Tags = s.table.Of(batch[i].Addr)
	}
	return s.Sink.Ports(batch)
}

// Events writes on a batch the scan's tags.
func (s *Stamp) Events(batch []results.Event) error {
	for i := range batch {
		batch[i].Tags = s.table.Scan()
	}
	return s.Sink.Events(batch)
}

// Hosts writes on a batch the tags of its addresses.
func (s *Stamp) Hosts(batch []results.Host) error {
	for i := range batch {
		batch[i].Tags = s.table.Of(batch[i].Addr)
	}
	return s.Sink.Hosts(batch)
}

// Notices writes on a batch the tags of what it is about.
func (s *Stamp) Notices(batch []results.Notice) error {
	for _, n := range batch {
		*n.TagField() = s.table.about(n)
	}
	return s.Sink.Notices(batch)
}

// End hands on the closing record with the scan's tags.
func (s *Stamp) End(end *results.ScanEnd) error {
	stamped := *end
	stamped.Scanner, stamped.Tags = s.scanner, s.table.Scan()
	return s.Sink.End(&stamped)
}

// Unwrap gives the sink behind.
func (s *Stamp) Unwrap() results.Sink { return s.Sink }
