package rawsock

import (
	"fmt"
	"strconv"
	"strings"
)

// PortSet is a set of port numbers; its zero value is empty.
type PortSet [1024]uint64

// Add adds the ports from first to last.
func (s *PortSet) Add(first, last uint16) {
	for p := int(first); p <= int(last); p++ {
		s[p/64] |= 1 << (p % 64)
	}
}

// Has tells whether a port is in the set.
func (s *PortSet) Has(port uint16) bool { return s[port/64]&(1<<(port%64)) != 0 }

// A PortInUseError says that a port of this host is taken.
type PortInUseError struct {
	Port uint16
	Err  error // the kernel's
}

func (e *PortInUseError) Error() string { return fmt.Sprintf("port %d is in use: %v", e.Port, e.Err) }

func (e *PortInUseError) Unwrap() error { return e.Err }

// parsePortList reads "8080,61000-61015", which may be empty.
func parsePortList(text string) (*PortSet, error) {
	all := &PortSet{}
	text = strings.TrimSpace(text)
	if text == "" {
		return all, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no port or range of ports", part)
		}
		last, err := strconv.ParseUint(to, 10, 16)
		if err != nil || last < first {
			return nil, fmt.Errorf("%q is no port or range of ports", part)
		}
		all.Add(uint16(first), uint16(last))
	}
	return all, nil
}
