package results

// Sink takes the record stream of one scan: one Start, any number of batches, one End. Its methods
// are called one at a time. A batch is the caller's again when Ports returns.
type Sink interface {
	Start(*ScanStart) error
	Ports(batch []Port) error
	// Hosts takes summaries, where they are asked for: after all ports, before End.
	Hosts(batch []Host) error
	// Flush writes out what is buffered. The scan calls it at least every 200 ms.
	Flush() error
	End(*ScanEnd) error
	Close() error
}
