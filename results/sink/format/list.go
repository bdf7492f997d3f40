package format

import (
	"strconv"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// list writes the open ports for other programs to take as their targets.
type list struct{ w *Writer }

// newList writes one line for each open port, 10.0.0.1:80 or [2001:db8::1]:80, as it is found, and nothing else.
func newList(w *Writer, _ Options) Encoder { return &list{w} }

func (l *list) Start(*results.ScanStart) error { return l.w.omit(1) }

func (l *list) Ports(ports []results.Port) error {
	omitted := 0
	for i := range ports {
		p := &ports[i]
		if p.Reason.State() != results.Open {
			omitted++
			continue
		}
		b := l.w.Buf()
		if p.Addr.Is4() {
			b = p.Addr.AppendTo(b)
		} else {
			b = append(p.Addr.AppendTo(append(b, '[')), ']')
		}
		b = strconv.AppendUint(append(b, ':'), uint64(p.Port), 10)
		if err := l.w.Commit(append(b, '\n'), batch.Event{Time: p.Time, Records: 1}); err != nil {
			return err
		}
	}
	return l.w.omit(omitted)
}

func (l *list) Events(events []results.Event) error { return l.w.omit(len(events)) }

// Notices writes nothing, as Events.
func (l *list) Notices(notices []results.Notice) error { return l.w.omit(len(notices)) }
func (l *list) Hosts(hosts []results.Host) error       { return l.w.omit(len(hosts)) }
func (l *list) End(*results.ScanEnd) error             { return l.w.omit(1) }
func (*list) Close() error                             { return nil }
