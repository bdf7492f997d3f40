package results

// Sink takes the record stream of one scan: one Start, any number of batches, one End. Its methods
// are called one at a time. A batch is the caller's again when the call returns.
//
// A sink that stands before another one has a method Unwrap() Sink, so that SinkAs finds what the inner one
// can do besides.
type Sink interface {
	Start(*ScanStart) error
	Ports(batch []Port) error
	// Events takes what happened to the evidence, in that order; it may come between any two batches.
	Events(batch []Event) error
	// Hosts takes summaries, where they are asked for: after all ports, before End.
	Hosts(batch []Host) error
	// Notices takes what there is to say about the scan besides: behind Start what it is going to ask, before End what it has asked.
	Notices(batch []Notice) error
	// Flush writes out what is buffered. The scan calls it at least every 200 ms.
	Flush() error
	End(*ScanEnd) error
	Close() error
}

// SinkAs finds the first in a chain of sinks that is a T, which most often is an interface of what a sink can
// do besides, such as Deliverer. As errors.As it asks the sink itself, then what it unwraps to, and so on.
func SinkAs[T any](s Sink) (found T, ok bool) {
	for s != nil {
		if found, ok = s.(T); ok {
			return found, true
		}
		outer, wraps := s.(interface{ Unwrap() Sink })
		if !wraps {
			break
		}
		s = outer.Unwrap()
	}
	return found, false
}

// SinkFuncs makes a Sink of functions, one for each method; nil does nothing. It is for who wants to see a
// part of the stream:
//
//	open := map[netip.Addr]bool{}
//	sink := results.SinkFuncs{OnPorts: func(batch []results.Port) error { … }}
type SinkFuncs struct {
	OnStart   func(*ScanStart) error
	OnPorts   func(batch []Port) error
	OnEvents  func(batch []Event) error
	OnHosts   func(batch []Host) error
	OnNotices func(batch []Notice) error
	OnFlush   func() error
	OnEnd     func(*ScanEnd) error
	OnClose   func() error
}

// Start calls OnStart.
func (f SinkFuncs) Start(s *ScanStart) error { return call1(f.OnStart, s) }

// Ports calls OnPorts.
func (f SinkFuncs) Ports(batch []Port) error { return call1(f.OnPorts, batch) }

// Events calls OnEvents.
func (f SinkFuncs) Events(batch []Event) error { return call1(f.OnEvents, batch) }

// Hosts calls OnHosts.
func (f SinkFuncs) Hosts(batch []Host) error { return call1(f.OnHosts, batch) }

// Notices calls OnNotices.
func (f SinkFuncs) Notices(batch []Notice) error { return call1(f.OnNotices, batch) }

// Flush calls OnFlush.
func (f SinkFuncs) Flush() error { return call(f.OnFlush) }

// End calls OnEnd.
func (f SinkFuncs) End(s *ScanEnd) error { return call1(f.OnEnd, s) }

// Close calls OnClose.
func (f SinkFuncs) Close() error { return call(f.OnClose) }

func call(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func call1[T any](f func(T) error, x T) error {
	if f == nil {
		return nil
	}
	return f(x)
}
