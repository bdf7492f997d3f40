package results

// SinkFuncs makes functions a Sink. What is nil does nothing.
type SinkFuncs struct {
	StartFunc func(*ScanStart) error
	PortsFunc func(batch []Port) error
	HostsFunc func(batch []Host) error
	FlushFunc func() error
	EndFunc   func(*ScanEnd) error
	CloseFunc func() error
}

// Start calls StartFunc.
func (f SinkFuncs) Start(s *ScanStart) error { return call(f.StartFunc, s) }

// Ports calls PortsFunc.
func (f SinkFuncs) Ports(batch []Port) error { return call(f.PortsFunc, batch) }

// Hosts calls HostsFunc.
func (f SinkFuncs) Hosts(batch []Host) error { return call(f.HostsFunc, batch) }

// Flush calls FlushFunc.
func (f SinkFuncs) Flush() error {
	if f.FlushFunc == nil {
		return nil
	}
	return f.FlushFunc()
}

// End calls EndFunc.
func (f SinkFuncs) End(s *ScanEnd) error { return call(f.EndFunc, s) }

// Close calls CloseFunc.
func (f SinkFuncs) Close() error {
	if f.CloseFunc == nil {
		return nil
	}
	return f.CloseFunc()
}

func call[T any](f func(T) error, v T) error {
	if f == nil {
		return nil
	}
	return f(v)
}
