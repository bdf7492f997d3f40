package sink

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/format"
)

// What a format has no place for does not wait for anything in the end; what it holds back for the end is
// held, and not queued.
func TestOutputCountsWhatIsEncoded(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		r := &receiver{}
		f := format.Format{Grouped: grouped, New: func(w *format.Writer, _ format.Options) format.Encoder { return &grouping{w: w} }}
		o := newOutput("fake", f, parts{dest: r, about: about{grouped: grouped}}, Config{})
		go o.delivery.Run()
		must(t, o.Start(&results.ScanStart{}))
		must(t, errors.Join(o.Ports(make([]results.Port, 5)), o.Hosts(make([]results.Host, 2)), o.Flush()))
		want := results.Delivery{Output: "fake", Queued: 7}
		if grouped {
			want = results.Delivery{Output: "fake", Held: 7}
		}
		if d := o.Delivery(); d != want {
			t.Errorf("counts %+v", d)
		}
		must(t, errors.Join(o.End(&results.ScanEnd{}), o.Close()))
		if d := o.Delivery(); d.Queued != 0 || d.Held != 0 || d.Delivered != 5 {
			t.Errorf("counts %+v", d)
		}
	}
}

// What a format holds is lost where the scan never comes to its end.
func TestOutputLosesWhatIsHeld(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		o, _ := outputOf(t, &receiver{}, dir, Config{}, about{grouped: true})
		o.enc = &grouping{w: o.w}
		must(t, o.Ports(make([]results.Port, 5)))
		if lost, ok := errors.AsType[*UndeliveredError](o.Finish(ended())); !ok || lost.Records != 5 {
			t.Errorf("spool %q: lost %+v", dir, lost)
		}
	}
}

// The formats that hold records back say so, and only they.
func TestGroupedFormats(t *testing.T) {
	dir := t.TempDir()
	for _, name := range format.Names() {
		o, err := Open(name+":"+filepath.Join(dir, name), Config{})
		must(t, err)
		must(t, o.Start(&results.ScanStart{ScanID: "s"}))
		must(t, errors.Join(o.Ports([]results.Port{{Reason: results.SYNACK, Addr: netip.MustParseAddr("10.77.0.1"), Port: 80, Frame: make([]byte, 60)}}), o.Flush()))
		must(t, errors.Join(o.Events(make([]results.Event, 3)), o.Flush())) // which no format holds
		if d, f := o.Delivery(), o.queue.Counts().Encoded; (d.Held == 1) != (f == 4) || o.about.grouped != (f == 4) || d.Held > 1 || d.Delivered+d.Queued+d.Held != 5 {
			t.Errorf("%s: counts %+v, %d encoded", name, d, f)
		}
		must(t, errors.Join(o.End(&results.ScanEnd{ScanID: "s"}), o.Close()))
		if d := o.Delivery(); d.Held != 0 || d.Queued != 0 {
			t.Errorf("%s: counts %+v in the end", name, d)
		}
	}
}

// Of several scans, one after the other, each record counts once.
func TestOutputOfSeveralScans(t *testing.T) {
	o, _ := output(t, &receiver{}, "", Config{})
	for scan := uint64(1); scan <= 3; scan++ {
		must(t, o.Start(&results.ScanStart{ScanID: "s"}))
		must(t, o.send(5))
		until(t, "all delivered", func() bool { return o.Delivery().Delivered == 7*(scan-1)+6 })
		if d := o.Delivery(); d.Queued != 0 {
			t.Errorf("scan %d: counts %+v", scan, d)
		}
		must(t, o.End(&results.ScanEnd{ScanID: "s"}))
	}
	must(t, o.Close())
}

// grouping is an encoder of one event for all ports; it has no place for anything else.
type grouping struct {
	w *format.Writer
	n int
}

func (g *grouping) Start(*results.ScanStart) error { return nil }
func (g *grouping) Ports(b []results.Port) error   { g.n += len(b); return nil }
func (g *grouping) Events([]results.Event) error   { return nil }
func (g *grouping) Notices([]results.Notice) error { return nil }
func (g *grouping) Hosts([]results.Host) error     { return nil }
func (g *grouping) End(*results.ScanEnd) error {
	return g.w.Commit(append(g.w.Buf(), "x\n"...), batch.Event{Records: g.n})
}
func (g *grouping) Close() error { return nil }
