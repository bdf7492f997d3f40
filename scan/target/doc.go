// Package target turns what the user names — addresses, ranges, host names, ports — into the index
// space of a scan. Call ParsePorts or TopPorts, then Load with a Config; its Targets have the Space.
//
//	words, files ─▶ entry ─▶ ranges (sorted, merged, exclusions subtracted) ─▶ Set ─┐
//	port spec    ─▶ Ports ──────────────────────────────────────────────────────────┴▶ Space
//
// A probe is a number in [0, Space.Len()). Space.At gives its address and port and Space.Index leads
// back from them, so a reply finds its probe with no table of probes. Both run once per packet: they
// allocate nothing and cost a few cache misses however many ranges there are.
//
// Everything a Load returns is immutable and may be shared by any number of goroutines.
package target
