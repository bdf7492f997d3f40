package policy

import (
	"errors"
	"io"
	"iter"
	"net/netip"
	"strings"

	"synoptic/results"
)

// Endpoints is what is known of endpoints, one after the other in any order: a scan's records, an inventory, or a host's
// listeners. An endpoint may come several times, of several scans; the newest counts. It ends at the first error.
type Endpoints iter.Seq2[Endpoint, error]

// Coverage tells whether an endpoint was asked while evidence held, so that what was not found there was not open. An inventory
// or a scan that proves its coverage has one for each vantage point.
type Coverage interface {
	Covered(ep netip.AddrPort) (asked bool)
}

// Records makes endpoints of a record stream. Read fills in what comes next, as results.Reader does; io.EOF ends it. The vantage
// point is the scanner that a scan's first record names, unless another one is given.
func Records(read func(*results.Records) error, vantage string) Endpoints {
	return func(yield func(Endpoint, error) bool) {
		var batch results.Records
		vantages := map[string]string{}
		for {
			err := read(&batch)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Endpoint{}, err)
				return
			}
			if batch.Start != nil {
				vantages[batch.ScanID] = strings.TrimSpace(batch.Start.Scanner)
			}
			from := vantage
			if from == "" {
				from = vantages[batch.ScanID]
			}
			for i := range batch.Ports {
				if e := ofPort(&batch.Ports[i], batch.ScanID, from); !yield(e, nil) {
					return
				}
			}
			for i := range batch.Hosts {
				h := &batch.Hosts[i]
				e := Endpoint{Addr: plainAddr(h.Addr), Vantage: from, First: h.First, Time: h.Last, ScanID: batch.ScanID, Suspect: h.Suspect}
				if e.Suspect != 0 && !yield(e, nil) {
					return
				}
			}
		}
	}
}

func ofPort(p *results.Port, scanID, vantage string) Endpoint {
	return Endpoint{
		Addr: plainAddr(p.Addr), Port: p.Port, State: p.Reason.State(), Vantage: vantage, Service: p.Detected(),
		First: p.Time, Time: p.Time, ScanID: scanID, Suspect: p.Suspect,
	}
}

func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
