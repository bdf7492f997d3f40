package results_test

import (
	"errors"
	"testing"

	"synoptic/results"
)

// Each function is called for its own method, with what that was given, and its error comes back; without
// functions a sink takes everything.
func TestSinkFuncs(t *testing.T) {
	var nothing results.Sink = results.SinkFuncs{}
	if err := errors.Join(nothing.Start(nil), nothing.Ports(nil), nothing.Events(nil), nothing.Hosts(nil), nothing.Flush(), nothing.End(nil), nothing.Close()); err != nil {
		t.Error(err)
	}
	var called string
	var ports, events, hosts int
	note := func(word string) error { called += word + " "; return errors.New(word) }
	var s results.Sink = results.SinkFuncs{
		OnStart:  func(s *results.ScanStart) error { return note("start " + s.ScanID) },
		OnPorts:  func(b []results.Port) error { ports = len(b); return note("ports") },
		OnEvents: func(b []results.Event) error { events = len(b); return note("events") },
		OnHosts:  func(b []results.Host) error { hosts = len(b); return note("hosts") },
		OnFlush:  func() error { return note("flush") },
		OnEnd:    func(s *results.ScanEnd) error { return note("end " + s.ScanID) },
		OnClose:  func() error { return note("close") },
	}
	for _, err := range []error{
		s.Start(&results.ScanStart{ScanID: "a"}), s.Ports(make([]results.Port, 3)), s.Events(make([]results.Event, 4)), s.Hosts(make([]results.Host, 2)), s.Flush(),
		s.End(&results.ScanEnd{ScanID: "b"}), s.Close(),
	} {
		if err == nil {
			t.Error("an error is lost")
		}
	}
	if called != "start a ports events hosts flush end b close " || ports != 3 || events != 4 || hosts != 2 {
		t.Errorf("called %q with %d ports, %d events, %d hosts", called, ports, events, hosts)
	}
}

// counting is a sink that counts deliveries, bare is one that hides it unless it unwraps.
type counting struct{ results.SinkFuncs }

func (counting) Deliveries() []results.Delivery { return make([]results.Delivery, 7) }

type outer struct{ results.Sink }

func (o outer) Unwrap() results.Sink { return o.Sink }

// What a sink can do besides is found behind those that stand before it.
func TestSinkAs(t *testing.T) {
	for name, c := range map[string]struct {
		s     results.Sink
		found bool
	}{
		"itself": {counting{}, true}, "behind two": {outer{outer{counting{}}}, true},
		"nobody": {outer{results.SinkFuncs{}}, false}, "behind nothing": {outer{nil}, false}, "nothing": {nil, false},
	} {
		d, ok := results.SinkAs[results.Deliverer](c.s)
		if ok != c.found || ok && len(d.Deliveries()) != 7 {
			t.Errorf("%s: found %v", name, ok)
		}
	}
}
