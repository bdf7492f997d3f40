package format

import "synoptic/results"

// grouped is what the encoders share that write host by host: nothing of a host can be written before the
// last record is known, and so their Ports and Hosts only sort.
type grouped struct {
	w    *Writer
	sort *byHost
}

func newGrouped(w *Writer, o Options) grouped {
	return grouped{w: w, sort: newByHost(o.TempDir, byHostMemory)}
}

func (g *grouped) Ports(ports []results.Port) error {
	for i := range ports {
		if err := g.sort.addPort(&ports[i]); err != nil {
			return err
		}
	}
	return nil
}

// Events writes nothing: nmap's formats have no place for what is not of a host.
func (g *grouped) Events(events []results.Event) error { return g.w.omit(len(events)) }

// Notices writes nothing, as Events.
func (g *grouped) Notices(notices []results.Notice) error { return g.w.omit(len(notices)) }

func (g *grouped) Hosts(hosts []results.Host) error {
	for i := range hosts {
		if err := g.sort.addHost(&hosts[i]); err != nil {
			return err
		}
	}
	return nil
}

// Close gives back the temporary file.
func (g *grouped) Close() error { return g.sort.close() }
